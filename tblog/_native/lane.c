/* The light lane: what waits to be written, oldest first, in a deque: numbers in larger pieces, and other entries.

   Every function here runs under the interpreter lock, and none lets go of it or runs Python's code while the
   lane is half changed: references are dropped when all is in place. So a signal handler, a finaliser and
   another thread find it whole. */
#include "native.h"

#include <structmember.h>

#define MOST_TAGS 100000
#define MOST_TAG_BYTES 4000

/* Locked: where the next event begins, with room behind it for so many numbers. NULL where they are too many or, perhaps
   with an exception, memory is short. Valid as long as nothing else is done with the lane. */
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

/* Locked: know an exact str from now on, written as a name; 0, perhaps with an exception, where that cannot be. */
int tblog_lane_learn(Lane *lane, PyObject *tag, PyObject *name)
{
    uint8_t prefix[MOST_TAG_BYTES + 8], *end = prefix;
    Py_ssize_t length;
    const char *text = PyUnicode_CheckExact(tag) ? PyUnicode_AsUTF8AndSize(name, &length) : NULL;
    if (text == NULL || length > MOST_TAG_BYTES || PyDict_GetItemWithError(lane->tags, tag) != NULL)
        return 0;
    if (PyDict_Size(lane->tags) >= MOST_TAGS) {
        PyObject *tags = PyDict_New(), *before = lane->tags, *open = (PyObject *)lane->open;
        if (tags == NULL)
            return 0;
        lane->tags = tags;
        lane->open = NULL;  /* it and those that wait keep the prefixes that they have */
        Py_DECREF(before);
        Py_XDECREF(open);
    }
    const size_t size = (size_t)length, tag_bytes = size ? 1 + tblog_varint_bytes(size) + size : 0;
    *end++ = 0x0A;
    end = tblog_put_varint(end, tag_bytes + 5);
    if (size) {
        *end++ = 0x0A;
        end = tblog_put_varint(end, size);
        memcpy(end, text, size);
        end += size;
    }
    *end++ = 0x15;
    PyObject *made = PyBytes_FromStringAndSize((char *)prefix, end - prefix);
    int learned = made != NULL && PyDict_SetItem(lane->tags, tag, made) == 0;
    Py_XDECREF(made);
    return learned;
}

/* Locked: learn(tag, name): know a tag from now on, written as a name, where that can be. */
static PyObject *learn(PyObject *self, PyObject *args)
{
    PyObject *tag, *name;
    if (PyArg_ParseTuple(args, "UU", &tag, &name))
        tblog_lane_learn((Lane *)self, tag, name);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* Locked: put one number of an event where there is room for it; 0 where the tag is not known. Runs no
   Python's code. */
int tblog_lane_put_at(Lane *lane, Cell *to, PyObject *tag, double value, size_t left)
{
    PyObject *prefix = PyUnicode_CheckExact(tag) ? PyDict_GetItemWithError(lane->tags, tag) : NULL;
    if (prefix == NULL)
        return 0;
    to->number.prefix = (const uint8_t *)PyBytes_AsString(prefix);
    to->number.prefix_bytes = (uint16_t)PyBytes_Size(prefix);
    to->number.value = (float)value;
    to->number.left = (uint16_t)left;
    return 1;
}

/* Locked: put the one number of an event, if there is room for it; the same. */
int tblog_lane_put(Lane *lane, PyObject *tag, double value)
{
    Cell *end = tblog_lane_end(lane, 1);
    return end != NULL && tblog_lane_put_at(lane, end + 1, tag, value, 0);
}

/* Locked: whether an entry is a number as Python's lane has it, (tag, value, step, time), and was added like those of the
   fast path. So a number with a time of its own, for one, does not end a block. */
static int append_number(Lane *lane, PyObject *entry)
{
    int64_t step;
    if (!PyTuple_CheckExact(entry) || PyTuple_Size(entry) != 4)
        return 0;
    PyObject *value = PyTuple_GetItem(entry, 1), *time = PyTuple_GetItem(entry, 3);
    return PyFloat_CheckExact(value) && PyFloat_CheckExact(time) && PyFloat_AsDouble(time) > 0 &&
           tblog_as_step(PyTuple_GetItem(entry, 2), &step) &&
           tblog_lane_put(lane, PyTuple_GetItem(entry, 0), PyFloat_AsDouble(value)) &&
           tblog_lane_add(lane, PyFloat_AsDouble(time), step) == 0;
}

/* Locked: append(entry). */
static PyObject *append(PyObject *self, PyObject *entry)
{
    Lane *lane = (Lane *)self;
    if (append_number(lane, entry))
        Py_RETURN_NONE;
    if (PyErr_Occurred())
        return NULL;
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
    {"learns", T_INT, offsetof(Lane, learns), 0, "whether the fast path learns tags, written as they are"},
    {"alarm", T_PYSSIZET, offsetof(Lane, alarm), 0, "at so many, the fast path goes the long way"},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, new},         {Py_tp_dealloc, dealloc}, {Py_tp_methods, methods},
    {Py_tp_members, members}, {Py_sq_length, length},   {Py_tp_doc, "What waits to be written."},
    {0, NULL},
};
PyType_Spec tblog_lane_spec = {"tblog._native._compiled.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT, slots};
