/* The fast paths of `add_scalar` and `add_scalar_dict`: from arguments to a lane. What is unusual is left to the
   Python functions. */
#include "native.h"

#include <time.h>

/* Unlocked: seconds since the epoch, as time.time() has them, and never 0, which an event would leave out. */
static double now(void)
{
    struct timespec time = {1, 0};
    clock_gettime(CLOCK_REALTIME, &time);
    return (double)((int64_t)time.tv_sec * 1000000000 + time.tv_nsec) / 1e9;
}

/* Locked: whether a value is a number that can be read at once, as float64. Unless `plain`, it may run Python's code;
   else not even to look for a type, whose own type may compare as it likes. */
static int as_number(PyObject *numbers, PyObject *value, int plain, double *number)
{
    PyObject *type = (PyObject *)Py_TYPE(value), *function = (PyObject *)&PyFloat_Type, *made = NULL;
    if (!PyFloat_CheckExact(value))
        function = plain && !Py_IS_TYPE(type, &PyType_Type) ? NULL : PyDict_GetItemWithError(numbers, type);
    if (function != (PyObject *)&PyFloat_Type) {
        if (function == NULL || plain || (made = PyObject_CallFunctionObjArgs(function, value, NULL)) == NULL)
            return 0;
        value = made;
    }
    *number = PyFloat_AsDouble(value);
    Py_XDECREF(made);
    return *number != -1.0 || !PyErr_Occurred();
}

/* Locked: the lane that a writer appends to, if it has room or forgets; a new reference. */
static Lane *lane_with_room(PyObject *writer, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(writer, name);
    Lane *lane = found != NULL && Py_IS_TYPE(found, tblog_lane_type) ? (Lane *)found : NULL;
    const Py_ssize_t waiting = lane == NULL ? 0 : lane->put - lane->taken;
    if (lane != NULL && (lane->room < 0 || (waiting < lane->room && waiting < lane->alarm)))
        return lane;
    Py_XDECREF(found);
    return NULL;
}

/* Locked: whether a step is an int of 64 bits. */
int tblog_as_step(PyObject *given, int64_t *step)
{
    int overflow = 1;
    if (PyLong_CheckExact(given))
        *step = PyLong_AsLongLongAndOverflow(given, &overflow);
    return !overflow;
}

/* Locked: add_scalar(writer, tag, number, step). Runs no Python's code once it has looked at the lane. */
int tblog_add_scalar(PyObject *name, PyObject *numbers, PyObject *const *given)
{
    double number;
    int64_t step;
    int fits = as_number(numbers, given[2], 0, &number) && tblog_as_step(given[3], &step);
    Lane *lane = fits ? lane_with_room(given[0], name) : NULL;
    if (lane == NULL)
        return 0;
    int added = tblog_lane_put(lane, given[1], number) ||
                (lane->learns && tblog_lane_learn(lane, given[1], given[1]) && tblog_lane_put(lane, given[1], number));
    added = added && (lane->room < 0 || tblog_lane_add(lane, now(), step) == 0);
    Py_DECREF((PyObject *)lane);
    return added;
}

/* Locked: add_scalar_dict(writer, numbers by tag, step). Runs no Python's code, so the dict stays as it is meanwhile. */
int tblog_add_scalar_dict(PyObject *name, PyObject *numbers, PyObject *const *given)
{
    int64_t step;
    double number;
    size_t left = PyDict_CheckExact(given[1]) ? (size_t)PyDict_Size(given[1]) : 0;
    Lane *lane = left && tblog_as_step(given[2], &step) ? lane_with_room(given[0], name) : NULL;
    if (lane == NULL)
        return 0;
    Cell *end = tblog_lane_end(lane, left);
    PyObject *tag, *value;
    Py_ssize_t position = 0;
    int added = end != NULL;
    while (added && left && PyDict_Next(given[1], &position, &tag, &value))
        added = as_number(numbers, value, 1, &number) && tblog_lane_put_at(lane, ++end, tag, number, --left);
    added = added && !left && (lane->room < 0 || tblog_lane_add(lane, now(), step) == 0);
    Py_DECREF((PyObject *)lane);
    return added;
}
