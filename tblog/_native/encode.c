/* Numbers become framed events, byte for byte as tblog/_wire/scalar_columns.py writes them: that file and
   tblog/_wire/events.py say what stands where, and why. */
#include "native.h"

#define TIME_KEY 0x09
#define STEP_KEY 0x10
#define SUMMARY_KEY 0x2A
#define MASK_DELTA 0xA282EAD8u

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire format is little-endian, and so must be the machine"
#endif

/* Unlocked: all of them write at a place that has room, and return what is behind it. */
static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return to + size;
}

uint8_t *tblog_put_varint(uint8_t *to, uint64_t number)
{
    for (; number > 0x7F; number >>= 7)
        *to++ = (uint8_t)(number & 0x7F) | 0x80;
    *to++ = (uint8_t)number;
    return to;
}

static uint8_t *put_checksum(uint8_t *to, const uint8_t *data, size_t size)
{
    uint32_t crc = tblog_crc32c(0, data, size);
    crc = (crc >> 15 | crc << 17) + MASK_DELTA;
    return put(to, &crc, 4);
}

/* Either. */
size_t tblog_varint_bytes(uint64_t number)
{
    size_t bytes = 1;
    while (number >>= 7)
        bytes++;
    return bytes;
}

/* Either: how many bytes the numbers of an event take. */
static size_t number_bytes(const Cell *event)
{
    size_t bytes = 0;
    do
        bytes += (++event)->number.prefix_bytes + 4u;
    while (event->number.left);
    return bytes;
}

/* Either: how many bytes an event takes, framed. */
size_t tblog_event_bytes(const Cell *event)
{
    size_t numbers = number_bytes(event);
    size_t step = event->head.step ? 1 + tblog_varint_bytes((uint64_t)event->head.step) : 0;
    return 12 + 9 + step + 1 + tblog_varint_bytes(numbers) + numbers + 4;
}

/* Unlocked: write an event, and return the next one. */
static const Cell *put_event(uint8_t **to, const Cell *event)
{
    uint8_t *frame = *to, *data = frame + 12, *end = data;
    *end++ = TIME_KEY;
    end = put(end, &event->head.time, 8);
    if (event->head.step) {
        *end++ = STEP_KEY;
        end = tblog_put_varint(end, (uint64_t)event->head.step);
    }
    *end++ = SUMMARY_KEY;
    end = tblog_put_varint(end, number_bytes(event));
    do {
        event++;
        end = put(put(end, event->number.prefix, event->number.prefix_bytes), &event->number.value, 4);
    } while (event->number.left);
    const uint64_t size = (uint64_t)(end - data);
    put_checksum(put(frame, &size, 8), frame, 8);
    *to = put_checksum(end, data, size);
    return event + 1;
}

/* Locked: encode(*several) -> bytearray: the framed events of numbers, which end with this. Lets go of the lock for
   many: the arguments keep the numbers, and nobody else has the bytes. */
PyObject *tblog_encode(PyObject *module, PyObject *several)
{
    (void)module;
    const Py_ssize_t count = PyTuple_Size(several);
    size_t bytes = 0;
    PyObject *frames = NULL;
    Numbers **all = PyMem_Malloc(((size_t)count + 1) * sizeof(*all));  /* the tuple has as many in memory already */
    if (all == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        all[i] = (Numbers *)PyTuple_GetItem(several, i);
        if (!Py_IS_TYPE((PyObject *)all[i], tblog_numbers_type) || all[i]->bytes > PY_SSIZE_T_MAX - bytes) {
            PyErr_SetString(PyExc_TypeError, "encode takes numbers that were taken from a lane, less than memory holds");
            goto done;
        }
        all[i]->ended = 1;
        bytes += all[i]->bytes;
    }
    if ((frames = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)bytes)) == NULL)
        goto done;
    uint8_t *end = (uint8_t *)PyByteArray_AsString(frames);
    PyThreadState *state = bytes < TBLOG_UNLOCK_AT ? NULL : PyEval_SaveThread();
    for (Py_ssize_t i = 0; i < count; i++)
        for (const Cell *event = all[i]->cells; event < all[i]->cells + all[i]->used;)
            event = put_event(&end, event);
    if (state != NULL)
        PyEval_RestoreThread(state);
done:
    PyMem_Free(all);
    return frames;
}
