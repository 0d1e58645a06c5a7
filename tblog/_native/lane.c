/* The light lane: what waits to be written, oldest first, in a deque: numbers in larger pieces, and other entries.

   Every function here runs under the interpreter lock, and none lets go of it or runs Python's code while the
   lane is half changed: references are dropped when all is in place. So a signal handler, a finaliser and
   another thread find it whole. */
#include "native.h"

#include <structmember.h>

#define MOST_TAGS 100000

/* Locked: what events have of a tag before its value; NULL where the tag is not known. Runs no Python's code. */
Prefix *tblog_lane_prefix(Lane *lane, PyObject *tag)
{
    return PyUnicode_CheckExact(tag) ? (Prefix *)PyDict_GetItemWithError(lane->tags, tag) : NULL;
}

/* Locked: where the next event begins, with room behind it for so many numbers. NULL where they are too many, or, with an
   exception, memory is short. Valid as long as nothing else is done with the lane. */
Cell *tblog_lane_end(Lane *lane, size_t numbers)
{
    Cell *end = lane->open == NULL ? NULL : tblog_numbers_end(lane->open, numbers);
    if (end != NULL || (lane->open != NULL && !lane->open->events && !lane->open->ended))
        return end;
    Numbers *empty = tblog_numbers_new(lane->tags), *before = lane->open;
    if (empty == NULL)
        return NULL;
    lane->open = empty;
    Py_XDECREF((PyObject *)before);
    return tblog_numbers_end(empty, numbers);
}

/* Locked: add the event whose numbers were put behind `tblog_lane_end`; -1 and an exception where memory is short. */
int tblog_lane_add(Lane *lane, double time, int64_t step)
{
    if (!lane->open->events) {  /* from now on, it waits in the line */
        PyObject *none = PyObject_CallFunctionObjArgs(lane->append, (PyObject *)lane->open, NULL);
        if (none == NULL)
            return -1;
        Py_DECREF(none);
    }
    tblog_numbers_add(lane->open, time, step);
    lane->put++;
    return 0;
}

/* Locked: learn(tag, prefix): from now on, events may have that tag. */
static PyObject *learn(PyObject *self, PyObject *args)
{
    Lane *lane = (Lane *)self;
    PyObject *tag;
    const char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "Uy#", &tag, &bytes, &size))
        return NULL;
    if (!PyUnicode_CheckExact(tag) || tblog_lane_prefix(lane, tag) != NULL)
        Py_RETURN_NONE;
    if (PyDict_Size(lane->tags) >= MOST_TAGS) {
        PyObject *tags = PyDict_New(), *before = lane->tags;
        if (tags == NULL)
            return NULL;
        Numbers *open = lane->open;  /* it and those that wait keep the prefixes that they have */
        lane->open = NULL;
        lane->tags = tags;
        Py_DECREF(before);
        Py_XDECREF((PyObject *)open);
    }
    Prefix *prefix = (Prefix *)PyType_GenericAlloc(tblog_prefix_type, size);
    if (prefix == NULL)
        return NULL;
    memcpy(prefix->bytes, bytes, (size_t)size);
    int failed = PyDict_SetItem(lane->tags, tag, (PyObject *)prefix);
    Py_DECREF((PyObject *)prefix);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* Locked: whether an entry is a plain number of a known tag, which then was added. */
static int add_number(Lane *lane, PyObject *entry)
{
    PyObject *tag, *value;
    double time;
    long long step;
    if (!PyTuple_CheckExact(entry) || PyTuple_Size(entry) != 4 || !PyFloat_CheckExact(PyTuple_GetItem(entry, 1)) ||
        !PyArg_ParseTuple(entry, "OOLd", &tag, &value, &step, &time))
        return 0;
    Prefix *prefix = tblog_lane_prefix(lane, tag);
    Cell *end = prefix == NULL ? NULL : tblog_lane_end(lane, 1);
    if (end == NULL)
        return 0;
    tblog_put_number(end + 1, prefix, PyFloat_AsDouble(value), 0);
    return tblog_lane_add(lane, time, step) == 0;
}

/* Locked: append(entry). */
static PyObject *append(PyObject *self, PyObject *entry)
{
    Lane *lane = (Lane *)self;
    if (add_number(lane, entry))
        Py_RETURN_NONE;
    PyErr_Clear();
    PyObject *none = PyObject_CallFunctionObjArgs(lane->append, entry, NULL);
    if (none != NULL) {
        lane->put++;
        if (lane->open != NULL && lane->open->events)
            lane->open->ended = 1;
    }
    return none;
}

/* Locked. */
static Py_ssize_t length(PyObject *self)
{
    return ((Lane *)self)->put - ((Lane *)self)->taken;
}

/* Locked. */
static void dealloc(PyObject *self)
{
    Lane *lane = (Lane *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(lane->pieces);
    Py_XDECREF(lane->append);
    Py_XDECREF((PyObject *)lane->open);
    Py_XDECREF(lane->tags);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Locked: Lane(pieces). */
static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    PyObject *pieces;
    Lane *lane = PyArg_ParseTuple(args, "O", &pieces) ? (Lane *)PyType_GenericAlloc(type, 0) : NULL;
    if (lane == NULL)
        return NULL;
    lane->alarm = PY_SSIZE_T_MAX;
    lane->pieces = Py_NewRef(pieces);
    lane->append = PyObject_GetAttrString(pieces, "append");
    lane->tags = PyDict_New();
    if (lane->append == NULL || lane->tags == NULL)
        Py_CLEAR(lane);
    return (PyObject *)lane;
}

static PyMethodDef methods[] = {
    {"learn", learn, METH_VARARGS, "Know a tag from now on."},
    {"append", append, METH_O, "Add an entry behind all others."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef members[] = {
    {"pieces", T_OBJECT_EX, offsetof(Lane, pieces), READONLY, "what waits, numbers in larger pieces"},
    {"taken", T_PYSSIZET, offsetof(Lane, taken), 0, "entries that were taken, by who takes them"},
    {"room", T_PYSSIZET, offsetof(Lane, room), 0, "the fast path adds to fewer than so many, or forgets if negative"},
    {"alarm", T_PYSSIZET, offsetof(Lane, alarm), 0, "at so many, the fast path goes the long way"},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, new},         {Py_tp_dealloc, dealloc}, {Py_tp_methods, methods},
    {Py_tp_members, members}, {Py_sq_length, length},   {Py_tp_doc, "What waits to be written."},
    {0, NULL},
};
PyType_Spec tblog_lane_spec = {"tblog._native._compiled.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT, slots};

static PyType_Slot prefix_slots[] = {
    {Py_tp_doc, "What an event has of a tag before its value."},
    {0, NULL},
};
PyType_Spec tblog_prefix_spec = {
    "tblog._native._compiled.Prefix", offsetof(Prefix, bytes), 1,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, prefix_slots};
