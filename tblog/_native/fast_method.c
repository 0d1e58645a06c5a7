/* The fast path of `add_scalar`, as a method: a descriptor around the Python function, which has the
   signature, the docstring and the long way, and is called wherever anything is unusual.

   The interpreter calls a method of this kind without making a bound one or a tuple. It does so for types with
   the flags below, which are part of the stable ABI from Python 3.12 on; 3.11 has them under the same numbers. */
#include "native.h"

#include <structmember.h>
#include <time.h>

#define HAVE_VECTORCALL (1UL << 11)
#define METHOD_DESCRIPTOR (1UL << 17)
#define OFFSET_FLAG ((size_t)1 << (8 * sizeof(size_t) - 1))

PyTypeObject *tblog_fast_method_type;

typedef PyObject *(*Call)(PyObject *, PyObject *const *, size_t, PyObject *);

typedef struct {
    PyObject_HEAD
    Call call;
    PyObject *function;  /* the Python function */
    PyObject *numbers;   /* dict: functions that make a float, by the type of a number */
    PyObject *dict;
} FastMethod;

enum { WRITER, TAG, VALUE, STEP, ARGUMENTS };
static PyObject *names[ARGUMENTS], *lane_name, *method_type;

/* Locked: call the Python function with the same arguments. */
static PyObject *call_function(PyObject *function, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    PyObject *positional = PyTuple_New(count), *named = NULL, *result = NULL;
    if (positional == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(args[i]);
        if (PyTuple_SetItem(positional, i, args[i]) < 0)
            goto done;
    }
    if (keywords != NULL) {
        named = PyDict_New();
        for (Py_ssize_t i = 0; named != NULL && i < PyTuple_Size(keywords); i++)
            if (PyDict_SetItem(named, PyTuple_GetItem(keywords, i), args[count + i]) < 0)
                Py_CLEAR(named);
        if (named == NULL)
            goto done;
    }
    result = PyObject_Call(function, positional, named);
done:
    Py_XDECREF(named);
    Py_DECREF(positional);
    return result;
}

/* Locked: whether the call gives a tag, a value and a step, and nothing else; then these. */
static int sort_arguments(PyObject *const *args, Py_ssize_t count, PyObject *keywords, PyObject **sorted)
{
    if (count < 1 || count > ARGUMENTS)
        return 0;
    for (Py_ssize_t i = 0; i < count; i++)
        sorted[i] = args[i];
    for (Py_ssize_t i = count; i < ARGUMENTS; i++)
        sorted[i] = NULL;
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
    if (count + named != ARGUMENTS)
        return 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GetItem(keywords, i);
        int which = TAG;
        while (which < ARGUMENTS && name != names[which])
            which++;
        if (which == ARGUMENTS || sorted[which] != NULL)
            return 0;
        sorted[which] = args[count + i];
    }
    return 1;
}

/* Locked, may run Python's code: a plain number as float64; 0 where it is none, -1 with an exception. */
static int as_double(FastMethod *method, PyObject *value, double *number)
{
    if (PyFloat_CheckExact(value)) {
        *number = PyFloat_AsDouble(value);
        return 1;
    }
    PyObject *function = PyDict_GetItemWithError(method->numbers, (PyObject *)Py_TYPE(value));
    if (function == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (function == (PyObject *)&PyFloat_Type) {
        *number = PyFloat_AsDouble(value);
    } else {
        PyObject *found = PyObject_CallFunctionObjArgs(function, value, NULL);
        if (found == NULL)
            return -1;
        *number = PyFloat_AsDouble(found);
        Py_DECREF(found);
    }
    return *number == -1.0 && PyErr_Occurred() ? -1 : 1;
}

/* Unlocked: seconds since the epoch, as time.time() has them. */
static double now(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_REALTIME, &time) != 0)
        return 0.0;
    return (double)((int64_t)time.tv_sec * 1000000000 + time.tv_nsec) / 1e9;
}

/* Locked: append a number to the lane, or forget it if the room there is negative; 0 where anything is unusual. Runs no Python's code between its look at the
   lane and the end of its appending. */
static int append(Lane *lane, PyObject *tag, double number, int64_t step)
{
    Prefix *prefix = (Prefix *)PyDict_GetItemWithError(lane->tags, tag);
    if (prefix == NULL || !Py_IS_TYPE((PyObject *)prefix, tblog_prefix_type))
        return 0;
    if ((Py_ssize_t)lane->count >= lane->room || (Py_ssize_t)lane->count >= lane->alarm)
        return lane->room < 0;
    Py_INCREF((PyObject *)prefix);
    if (tblog_lane_add(lane, (Slot){prefix, step, now(), {(float)number}}) < 0) {
        Py_DECREF((PyObject *)prefix);
        return 0;
    }
    return 1;
}

/* Locked: the method. What the Python function would take as unusual goes to it. */
static PyObject *fast_call(PyObject *self, PyObject *const *args, size_t flagged, PyObject *keywords)
{
    FastMethod *method = (FastMethod *)self;
    Py_ssize_t count = (Py_ssize_t)(flagged & ~OFFSET_FLAG);
    PyObject *given[ARGUMENTS];
    if (sort_arguments(args, count, keywords, given) && PyUnicode_CheckExact(given[TAG]) &&
        PyLong_CheckExact(given[STEP])) {
        double number;
        int overflow, known = as_double(method, given[VALUE], &number);
        long long step = PyLong_AsLongLongAndOverflow(given[STEP], &overflow);
        if (known > 0 && !overflow) {
            PyObject *lane = PyObject_GetAttr(given[WRITER], lane_name);
            if (lane != NULL) {
                int appended = Py_IS_TYPE(lane, tblog_lane_type) && append((Lane *)lane, given[TAG], number, step);
                Py_DECREF(lane);
                if (appended)
                    Py_RETURN_NONE;
            }
        }
        /* The function meets the same error again, or knows a way; an interrupt is not to be lost. */
        if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_Exception))
                return NULL;
            PyErr_Clear();
        }
    }
    return call_function(method->function, args, count, keywords);
}

/* Locked: calls with a tuple and a dict go straight to the function. */
static PyObject *plain_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return PyObject_Call(((FastMethod *)self)->function, args, kwargs);
}

/* Locked: of an instance, a bound method like any other; of a class, the Python function itself, which is what tools
   expect there that look at signatures, replace methods or pickle them. */
static PyObject *get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    if (object == NULL || object == Py_None) {
        Py_INCREF(((FastMethod *)self)->function);
        return ((FastMethod *)self)->function;
    }
    return PyObject_CallFunctionObjArgs(method_type, self, object, NULL);
}

/* Locked: FastMethod(function, numbers). */
static PyObject *fast_method_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *function, *numbers;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OO!", &function, &PyDict_Type, &numbers))
        return NULL;
    FastMethod *method = (FastMethod *)PyType_GenericAlloc(type, 0);
    if (method == NULL)
        return NULL;
    method->call = fast_call;
    Py_INCREF(function);
    method->function = function;
    Py_INCREF(numbers);
    method->numbers = numbers;
    return (PyObject *)method;
}

/* Locked. */
static void fast_method_free(PyObject *self)
{
    FastMethod *method = (FastMethod *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(method->dict);
    Py_XDECREF(method->function);
    Py_XDECREF(method->numbers);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FastMethod, call), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(FastMethod, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
/* Locked: the class of the Python function, for those who ask by isinstance whether a method is one they can read:
   torch's compiler, for one. */
static PyObject *get_class(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *type = (PyObject *)Py_TYPE(((FastMethod *)self)->function);
    Py_INCREF(type);
    return type;
}

static PyGetSetDef getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, fast_method_new}, {Py_tp_dealloc, fast_method_free},
    {Py_tp_call, plain_call},          {Py_tp_descr_get, get},
    {Py_tp_members, members},              {Py_tp_getset, getset},
    {0, NULL},
};
static PyType_Spec spec = {
    "tblog._native._compiled.FastMethod", sizeof(FastMethod), 0,
    Py_TPFLAGS_DEFAULT | HAVE_VECTORCALL | METHOD_DESCRIPTOR, slots};

/* Locked. */
int tblog_fast_method_prepare(PyObject *module)
{
    PyObject *types = PyImport_ImportModule("types");
    if (types == NULL)
        return -1;
    method_type = PyObject_GetAttrString(types, "MethodType");
    Py_DECREF(types);
    lane_name = PyUnicode_InternFromString("_lane");
    names[TAG] = PyUnicode_InternFromString("tag");
    names[VALUE] = PyUnicode_InternFromString("scalar_value");
    names[STEP] = PyUnicode_InternFromString("global_step");
    if (!method_type || !lane_name || !names[TAG] || !names[VALUE] || !names[STEP])
        return -1;
    tblog_fast_method_type = tblog_add_type(module, &spec, "FastMethod");
    return tblog_fast_method_type == NULL ? -1 : 0;
}
