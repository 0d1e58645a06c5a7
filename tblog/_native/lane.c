/* The light lane: what waits to be written, oldest first.

   Every function here runs under the interpreter lock, and none lets go of it or runs Python's code while the
   lane is half changed: references are dropped when all is in place. So a signal handler, a finaliser and
   another thread find it whole. */
#include "native.h"

#include <structmember.h>

#define FIRST_CAPACITY 256
#define KEPT_CAPACITY 32768

PyTypeObject *tblog_lane_type;

/* Locked. */
static Slot *at(const Lane *lane, size_t index)
{
    return &lane->slots[(lane->first + index) & (lane->capacity - 1)];
}

/* Locked: may run Python's code. */
void tblog_slot_release(Slot *slot)
{
    Py_DECREF(slot->prefix == NULL ? slot->as.entry : (PyObject *)slot->prefix);
}

/* Locked: make room for one more; -1 and an exception where memory is short. */
static int grow(Lane *lane)
{
    if (lane->count < lane->capacity)
        return 0;
    size_t capacity = lane->capacity ? 2 * lane->capacity : FIRST_CAPACITY;
    if (capacity < lane->capacity || capacity > PY_SSIZE_T_MAX / sizeof(Slot)) {
        PyErr_NoMemory();
        return -1;
    }
    Slot *slots = malloc(capacity * sizeof(Slot));
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    size_t whole = lane->capacity - lane->first;  /* from the oldest to the end of the ring */
    if (lane->count) {
        memcpy(slots, lane->slots + lane->first, whole * sizeof(Slot));
        memcpy(slots + whole, lane->slots, lane->first * sizeof(Slot));
    }
    free(lane->slots);
    lane->slots = slots;
    lane->capacity = capacity;
    lane->first = 0;
    return 0;
}

/* Locked: append a slot, whose references the lane takes; -1 and an exception where memory is short. */
int tblog_lane_add(Lane *lane, Slot slot)
{
    if (grow(lane) < 0)
        return -1;
    *at(lane, lane->count) = slot;
    lane->count++;
    return 0;
}

/* Locked: the same at the other end. */
int tblog_lane_give_back(Lane *lane, Slot slot)
{
    if (grow(lane) < 0)
        return -1;
    lane->first = (lane->first - 1) & (lane->capacity - 1);
    lane->slots[lane->first] = slot;
    lane->count++;
    return 0;
}

/* Locked: an entry as Python sees it; a new reference. */
static PyObject *shown(const Slot *slot)
{
    if (slot->prefix == NULL)
        return Py_NewRef(slot->as.entry);
    PyObject *name = Py_NewRef(slot->prefix->name);  /* a finaliser may run now, and another thread take the slot */
    return Py_BuildValue("(NdLd)", name, (double)slot->as.value, (long long)slot->step, slot->time);
}

/* Locked: whether an entry is a plain number of a known tag; then its slot, with a reference to the prefix. */
static int as_number(Lane *lane, PyObject *entry, Slot *slot)
{
    if (!PyTuple_CheckExact(entry) || PyTuple_Size(entry) != 4)
        return 0;
    PyObject *name = PyTuple_GetItem(entry, 0), *value = PyTuple_GetItem(entry, 1);
    PyObject *step = PyTuple_GetItem(entry, 2), *time = PyTuple_GetItem(entry, 3);
    if (!PyUnicode_CheckExact(name) || !PyFloat_CheckExact(value) || !PyLong_CheckExact(step) ||
        !PyFloat_CheckExact(time))
        return 0;
    Prefix *prefix = (Prefix *)PyDict_GetItemWithError(lane->tags, name);
    if (prefix == NULL || !Py_IS_TYPE((PyObject *)prefix, tblog_prefix_type) || prefix->name != name) {
        PyErr_Clear();
        return 0;
    }
    int overflow;
    slot->step = PyLong_AsLongLongAndOverflow(step, &overflow);
    slot->time = PyFloat_AsDouble(time);
    slot->as.value = (float)PyFloat_AsDouble(value);
    if (overflow)
        return 0;
    slot->prefix = (Prefix *)Py_NewRef((PyObject *)prefix);
    return 1;
}

/* Locked: append(entry). */
static PyObject *lane_append(PyObject *self, PyObject *entry)
{
    Slot slot;
    if (!as_number((Lane *)self, entry, &slot))
        slot = (Slot){.as = {.entry = Py_NewRef(entry)}};
    if (tblog_lane_add((Lane *)self, slot) < 0) {
        tblog_slot_release(&slot);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Locked: how many of the oldest are numbers, up to most. */
static size_t numbers_in_front(const Lane *lane, size_t most)
{
    size_t found = 0;
    while (found < most && at(lane, found)->prefix != NULL)
        found++;
    return found;
}

/* Locked: remove the oldest numbers, which are as many at least; NULL and an exception where memory is short. */
static PyObject *take_numbers(Lane *lane, size_t count)
{
    Numbers *numbers = (Numbers *)PyType_GenericAlloc(tblog_numbers_type, 0);
    if (numbers == NULL)
        return NULL;
    numbers->slots = malloc(count * sizeof(Slot) + 1);  /* as many slots are in memory already */
    if (numbers->slots == NULL) {
        Py_DECREF((PyObject *)numbers);
        return PyErr_NoMemory();
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        numbers->slots[i] = *at(lane, i);
        size_t one = tblog_event_bytes(&numbers->slots[i]);
        if (bytes > PY_SSIZE_T_MAX - one) {
            Py_DECREF((PyObject *)numbers);  /* its count is 0: the slots are still the lane's */
            return PyErr_NoMemory();
        }
        bytes += one;
    }
    numbers->count = count;
    numbers->bytes = bytes;
    lane->first = (lane->first + count) & (lane->capacity - 1);
    lane->count -= count;
    return (PyObject *)numbers;
}

/* Locked: return numbers to the head, as far as memory goes: what is left stays theirs. */
static int give_back_numbers(Lane *lane, Numbers *numbers)
{
    while (numbers->count) {
        if (tblog_lane_give_back(lane, numbers->slots[numbers->count - 1]) < 0)
            return -1;
        numbers->count--;
    }
    return 0;
}

/* Locked: take(entries, numbers) -> list: removes the oldest, up to so many entries, and so many numbers, of which
   those that follow each other are one entry. */
static PyObject *lane_take(PyObject *self, PyObject *args)
{
    Lane *lane = (Lane *)self;
    Py_ssize_t limit, most_numbers;
    if (!PyArg_ParseTuple(args, "nn", &limit, &most_numbers))
        return NULL;
    PyObject *taken = PyList_New(0);
    if (taken == NULL)
        return NULL;
    while (limit > 0 && most_numbers > 0 && lane->count) {
        size_t most = (size_t)most_numbers < lane->count ? (size_t)most_numbers : lane->count;
        size_t numbers = numbers_in_front(lane, most);
        PyObject *entry = numbers ? take_numbers(lane, numbers) : at(lane, 0)->as.entry;
        if (entry == NULL || PyList_Append(taken, entry) < 0) {
            if (numbers && entry != NULL) {
                give_back_numbers(lane, (Numbers *)entry);  /* where they were */
                Py_DECREF(entry);
            }
            if (PyList_Size(taken) == 0)
                Py_CLEAR(taken);
            else
                PyErr_Clear();  /* the list has what could be taken */
            return taken;
        }
        if (!numbers) {
            lane->first = (lane->first + 1) & (lane->capacity - 1);
            lane->count--;
        }
        Py_DECREF(entry);  /* the list has it */
        limit--;
        most_numbers -= (Py_ssize_t)numbers;
    }
    if (lane->count == 0 && lane->capacity > KEPT_CAPACITY) {  /* after a burst */
        free(lane->slots);
        lane->slots = NULL;
        lane->capacity = lane->first = 0;
    }
    return taken;
}

/* Locked: put_back(entries): returns what was taken to the head, in its order. */
static PyObject *lane_put_back(PyObject *self, PyObject *entries)
{
    Lane *lane = (Lane *)self;
    if (!PyList_Check(entries)) {
        PyErr_SetString(PyExc_TypeError, "put_back takes the list that take returned, or a part of it");
        return NULL;
    }
    for (Py_ssize_t i = PyList_Size(entries) - 1; i >= 0; i--) {
        PyObject *entry = PyList_GetItem(entries, i);
        if (!Py_IS_TYPE(entry, tblog_numbers_type)) {
            if (tblog_lane_give_back(lane, (Slot){.as = {.entry = entry}}) < 0)
                return NULL;
            Py_INCREF(entry);
            continue;
        }
        if (give_back_numbers(lane, (Numbers *)entry) < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

/* Locked: lane[index]: an entry, numbers as tuples; so a lane can be looked through like a deque. */
static PyObject *lane_item(PyObject *self, Py_ssize_t index)
{
    Lane *lane = (Lane *)self;
    if (index >= 0 && (size_t)index < lane->count)
        return shown(at(lane, (size_t)index));
    PyErr_SetString(PyExc_IndexError, "so many entries do not wait");
    return NULL;
}

/* Locked: remove(entry): takes an entry out, wherever it waits. */
static PyObject *lane_remove(PyObject *self, PyObject *entry)
{
    Lane *lane = (Lane *)self;
    size_t found = 0;
    while (found < lane->count && (at(lane, found)->prefix != NULL || at(lane, found)->as.entry != entry))
        found++;
    if (found == lane->count) {
        PyErr_SetString(PyExc_ValueError, "the entry does not wait here");
        return NULL;
    }
    for (lane->count--; found < lane->count; found++)
        *at(lane, found) = *at(lane, found + 1);
    Py_DECREF(entry);
    Py_RETURN_NONE;
}

/* Locked. */
static Py_ssize_t lane_length(PyObject *self)
{
    return (Py_ssize_t)((Lane *)self)->count;
}

/* Locked. */
static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    Lane *lane = (Lane *)PyType_GenericAlloc(type, 0);
    if (lane == NULL)
        return NULL;
    lane->alarm = PY_SSIZE_T_MAX;
    lane->tags = PyDict_New();
    if (lane->tags == NULL)
        Py_CLEAR(lane);
    return (PyObject *)lane;
}

/* Locked. */
static void lane_free(PyObject *self)
{
    Lane *lane = (Lane *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (size_t i = 0; i < lane->count; i++)
        tblog_slot_release(at(lane, i));
    free(lane->slots);
    Py_XDECREF(lane->tags);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"append", lane_append, METH_O, "Add an entry behind all others."},
    {"take", lane_take, METH_VARARGS, "Remove and return the oldest entries."},
    {"put_back", lane_put_back, METH_O, "Return taken entries to the head."},
    {"remove", lane_remove, METH_O, "Take an entry out, wherever it waits."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef members[] = {
    {"room", T_PYSSIZET, offsetof(Lane, room), 0, "the fast path adds to fewer than so many, and forgets if negative"},
    {"alarm", T_PYSSIZET, offsetof(Lane, alarm), 0, "at so many, the fast path goes the long way"},
    {"tags", T_OBJECT_EX, offsetof(Lane, tags), READONLY, "Prefix by tag"},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, lane_new},         {Py_tp_dealloc, lane_free}, {Py_tp_methods, methods},
    {Py_tp_members, members},      {Py_sq_length, lane_length}, {Py_sq_item, lane_item},
    {Py_tp_doc, "What waits to be written."},
    {0, NULL},
};
static PyType_Spec spec = {"tblog._native._compiled.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT, slots};

/* Locked. */
int tblog_lane_prepare(PyObject *module)
{
    tblog_lane_type = tblog_add_type(module, &spec, "Lane");
    return tblog_lane_type == NULL ? -1 : 0;
}
