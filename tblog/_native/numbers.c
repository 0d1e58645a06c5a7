/* Numbers that wait in a lane, or that were taken from it: events as they were logged, not yet bytes. */
#include "native.h"

#define MOST_CELLS 2048  /* 32 kB: 1,024 events of one number */
#define FIRST_CELLS 4    /* of a block; where other entries come in between, few are used */

/* Locked: without any events; NULL and an exception where memory is short. */
Numbers *tblog_numbers_new(PyObject *tags)
{
    Numbers *numbers = (Numbers *)PyType_GenericAlloc(tblog_numbers_type, 0);
    if (numbers == NULL)
        return NULL;
    numbers->tags = Py_NewRef(tags);
    return numbers;
}

/* Locked: where the next event begins, if it may have so many numbers; else NULL, also where memory is short. */
Cell *tblog_numbers_end(Numbers *numbers, size_t more)
{
    if (numbers->ended || more >= MOST_CELLS - numbers->used)
        return NULL;
    if (more >= numbers->room - numbers->used) {  /* nobody else looks at the cells before it has ended */
        size_t room = numbers->room ? numbers->room : FIRST_CELLS;
        while (more >= room - numbers->used)
            room *= 2;
        Cell *cells = PyMem_Realloc(numbers->cells, room * sizeof(Cell));
        if (cells == NULL)
            return NULL;
        numbers->cells = cells;
        numbers->room = room;
    }
    return numbers->cells + numbers->used;
}

/* Locked: add the event whose numbers were put behind `tblog_numbers_end`. */
void tblog_numbers_add(Numbers *numbers, double time, int64_t step)
{
    Cell *event = numbers->cells + numbers->used;
    event->head.time = time;
    event->head.step = step;
    numbers->used += 2 + event[1].number.left;
    numbers->events++;
    numbers->bytes += tblog_event_bytes(event);  /* no overflow: a block of longest tags is a few MB */
}

/* Locked: end() -> how many numbers it has: nothing is added any more. */
static PyObject *end(PyObject *self, PyObject *none)
{
    Numbers *numbers = (Numbers *)self;
    (void)none;
    numbers->ended = 1;
    return PyLong_FromSize_t(numbers->used - numbers->events);
}

/* Unlocked: how many bytes a varint takes. */
static size_t varint_bytes(const uint8_t *from)
{
    size_t bytes = 1;
    while (*from++ & 0x80)
        bytes++;
    return bytes;
}

/* Locked: the name in a prefix, which lane.c makes: the key and size of a value, perhaps those of its tag, and the tag. */
static PyObject *name_in(const Cell *number)
{
    const uint8_t *prefix = number->number.prefix, *end = prefix + number->number.prefix_bytes - 1;
    prefix += 1 + varint_bytes(prefix + 1);
    if (prefix < end)
        prefix += 1 + varint_bytes(prefix + 1);
    return PyUnicode_FromStringAndSize((const char *)prefix, end - prefix);
}

/* Locked: rows() -> list of (tag, value, step, time): each number as the Python lane has it. */
static PyObject *rows(PyObject *self, PyObject *none)
{
    (void)none;
    Numbers *numbers = (Numbers *)self;
    numbers->ended = 1;  /* a finaliser that logs while these are made moves no cells */
    PyObject *found = PyList_New(0);
    for (size_t at = 0; found != NULL && at < numbers->used;) {
        const Cell *head = numbers->cells + at++, *number;
        do {
            number = numbers->cells + at++;
            PyObject *name = name_in(number), *row = NULL;
            if (name != NULL)
                row = Py_BuildValue("(NdLd)", name, (double)number->number.value, (long long)head->head.step, head->head.time);
            if (row == NULL || PyList_Append(found, row) < 0)
                Py_CLEAR(found);
            Py_XDECREF(row);
        } while (found != NULL && number->number.left);
    }
    return found;
}

/* Locked. */
static Py_ssize_t length(PyObject *self)
{
    return (Py_ssize_t)((Numbers *)self)->events;
}

/* Locked. */
static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(((Numbers *)self)->cells);
    Py_XDECREF(((Numbers *)self)->tags);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"end", end, METH_NOARGS, "Let it grow no more; return how many numbers it has."},
    {"rows", rows, METH_NOARGS, "Return tag, value, step and time of each number."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_sq_length, length},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Numbers that wait in a lane, or were taken from it; its length is that of their events."},
    {0, NULL},
};
PyType_Spec tblog_numbers_spec = {
    "tblog._native._compiled.Numbers", sizeof(Numbers), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
