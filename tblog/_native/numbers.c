/* Numbers that wait in a lane, or that were taken from it: events as they were logged, not yet bytes. */
#include "native.h"

#define MOST_CELLS 2048  /* 32 kB: 1,024 events of one number */
#define FIRST_CELLS 4    /* of a block; where other entries come in between, few are used */

/* Locked: without any events; NULL and an exception where memory is short. */
Numbers *tblog_numbers_new(PyObject *tags)
{
    Numbers *numbers = (Numbers *)PyType_GenericAlloc(tblog_numbers_type, 0);
    if (numbers != NULL)
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
