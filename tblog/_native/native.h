/* What the files of the native module share. Each function says whether the caller must hold the
   interpreter lock ("locked"), must not need it ("unlocked": touches no Python object), or either. */
#ifndef TBLOG_NATIVE_H
#define TBLOG_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An event is a head and at least one number behind it. */
typedef union {
    struct {
        double time;
        int64_t step;
    } head;
    struct {
        const uint8_t *prefix;  /* what the event has of the tag before the value */
        float value;
        uint16_t prefix_bytes;
        uint16_t left;  /* numbers that follow in the same event */
    } number;
} Cell;

/* A stretch of events. Nothing of it changes once it has ended. */
typedef struct {
    PyObject_HEAD
    PyObject *tags;  /* keeps the prefixes alive */
    Cell *cells;
    size_t room;     /* cells */
    size_t used;     /* of these */
    size_t events;
    size_t bytes;    /* of the events, framed */
    int ended;
} Numbers;

/* The light lane of a writer. Shared by threads under the interpreter lock. */
typedef struct {
    PyObject_HEAD
    PyObject *pieces;  /* a deque: what waits, numbers and other entries */
    PyObject *append;  /* its method */
    PyObject *tags;    /* dict: prefixes, which are bytes, by tag, an exact str, as it was given; none is ever replaced */
    Numbers *open;     /* the numbers that grow: the last piece, or, without events, to be the next one; or NULL */
    Py_ssize_t put;    /* entries so far: an event of numbers is one */
    Py_ssize_t taken;  /* and those that were taken */
    Py_ssize_t room;   /* the fast path adds to fewer waiting ones than so many; negative: it forgets */
    Py_ssize_t alarm;  /* and at so many goes the long way, which wakes the worker */
    int learns;        /* whether the fast path learns tags, written as they are */
} Lane;

extern PyTypeObject *tblog_numbers_type, *tblog_lane_type, *tblog_fast_method_type;
extern PyType_Spec tblog_numbers_spec, tblog_lane_spec, tblog_fast_method_spec;

Numbers *tblog_numbers_new(PyObject *tags);
Cell *tblog_numbers_end(Numbers *numbers, size_t more);
void tblog_numbers_add(Numbers *numbers, double time, int64_t step);

uint8_t *tblog_put_varint(uint8_t *to, uint64_t number);
size_t tblog_varint_bytes(uint64_t number);
size_t tblog_event_bytes(const Cell *event);

int tblog_lane_learn(Lane *lane, PyObject *tag, PyObject *name);
Cell *tblog_lane_end(Lane *lane, size_t numbers);
int tblog_lane_put_at(Lane *lane, Cell *to, PyObject *tag, double value, size_t left);
int tblog_lane_put(Lane *lane, PyObject *tag, double value);
int tblog_lane_add(Lane *lane, double time, int64_t step);

/* Each logs what was given, by the attribute of that name, and returns 1, or 0 where anything is unusual, perhaps with
   an exception. */
int tblog_as_step(PyObject *given, int64_t *step);
typedef int (*tblog_Call)(PyObject *name, PyObject *numbers, PyObject *const *given);
int tblog_add_scalar(PyObject *name, PyObject *numbers, PyObject *const *given);
int tblog_add_scalar_dict(PyObject *name, PyObject *numbers, PyObject *const *given);

/* Below this many bytes, letting go of the lock costs more than to encode them or their checksum. */
#define TBLOG_UNLOCK_AT 16384

uint32_t tblog_crc32c(uint32_t crc, const uint8_t *data, size_t size);
void tblog_crc32c_prepare(void);

/* Functions of the module. */
PyObject *tblog_encode(PyObject *module, PyObject *several);
PyObject *tblog_crc32c_of(PyObject *module, PyObject *args);
PyObject *tblog_count(PyObject *module, PyObject *args);

#endif
