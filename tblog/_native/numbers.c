/* Numbers that were taken from a lane become framed events, byte for byte as tblog/_wire/scalar_columns.py
   writes them: that file and tblog/_wire/events.py say what stands where, and why. */
#include "native.h"

PyTypeObject *tblog_numbers_type;

#define TIME_KEY 0x09
#define STEP_KEY 0x10
#define MASK_DELTA 0xA282EAD8u

/* Unlocked: all of them write at a place that has room, and return what is behind it. */
static uint8_t *put32(uint8_t *to, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        *to++ = (uint8_t)(number >> 8 * i);
    return to;
}

static uint8_t *put64(uint8_t *to, uint64_t number)
{
    return put32(put32(to, (uint32_t)number), (uint32_t)(number >> 32));
}

static uint8_t *put_checksum(uint8_t *to, const uint8_t *data, size_t size)
{
    uint32_t crc = tblog_crc32c(0, data, size);
    return put32(to, (crc >> 15 | crc << 17) + MASK_DELTA);
}

static uint8_t *put_value(uint8_t *to, float value)
{
    uint32_t pattern;
    memcpy(&pattern, &value, 4);
    return put32(to, pattern);
}

static uint8_t *put_head(uint8_t *to, double time, int64_t step)
{
    uint64_t pattern, left = (uint64_t)step;
    memcpy(&pattern, &time, 8);
    if (pattern) {
        *to++ = TIME_KEY;
        to = put64(to, pattern);
    }
    if (left) {
        *to++ = STEP_KEY;
        for (; left > 0x7F; left >>= 7)
            *to++ = (uint8_t)(left & 0x7F) | 0x80;
        *to++ = (uint8_t)left;
    }
    return to;
}

static uint8_t *put_event(uint8_t *to, const Slot *slot)
{
    uint8_t *data = to + 12, *end = put_head(data, slot->time, slot->step);
    memcpy(end, slot->prefix->bytes, slot->prefix->size);
    end = put_value(end + slot->prefix->size, slot->as.value);
    put64(to, (uint64_t)(end - data));
    put_checksum(to + 8, to, 8);
    return put_checksum(end, data, (size_t)(end - data));
}

/* Either: how many bytes that takes. */
size_t tblog_event_bytes(const Slot *slot)
{
    uint64_t pattern, step = (uint64_t)slot->step;
    memcpy(&pattern, &slot->time, 8);
    size_t head = pattern ? 9 : 0;
    for (head += step ? 2 : 0; step > 0x7F; step >>= 7)
        head++;
    return 12 + head + slot->prefix->size + 4 + 4;
}

/* Locked: encode() -> bytes: the framed events. Lets go of the lock; nobody else has the slots or the bytes. */
static PyObject *numbers_encode(PyObject *self, PyObject *none)
{
    (void)none;
    Numbers *numbers = (Numbers *)self;
    PyObject *frames = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)numbers->bytes);
    if (frames == NULL)
        return NULL;
    uint8_t *end = (uint8_t *)PyBytes_AsString(frames);
    const Slot *slots = numbers->slots;
    const size_t count = numbers->count;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < count; i++)
        end = put_event(end, &slots[i]);
    Py_END_ALLOW_THREADS
    return frames;
}

/* Locked. */
static Py_ssize_t numbers_length(PyObject *self)
{
    return (Py_ssize_t)((Numbers *)self)->count;
}

/* Locked. */
static void numbers_free(PyObject *self)
{
    Numbers *numbers = (Numbers *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (size_t i = 0; i < numbers->count; i++)
        tblog_slot_release(&numbers->slots[i]);
    free(numbers->slots);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"encode", numbers_encode, METH_NOARGS, "Return the framed events."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, numbers_free},
    {Py_tp_methods, methods},
    {Py_sq_length, numbers_length},
    {Py_tp_doc, "Numbers that were taken from a lane."},
    {0, NULL},
};
static PyType_Spec spec = {
    "tblog._native._compiled.Numbers", sizeof(Numbers), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

/* Locked. */
int tblog_numbers_prepare(PyObject *module)
{
    tblog_numbers_type = tblog_add_type(module, &spec, "Numbers");
    return tblog_numbers_type == NULL ? -1 : 0;
}
