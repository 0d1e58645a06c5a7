/* What the files of the native module share. Each function says whether the caller must hold the
   interpreter lock ("locked"), must not need it ("unlocked": touches no Python object), or either. */
#ifndef TBLOG_NATIVE_H
#define TBLOG_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of a tag's event that do not vary. Nothing of it changes after it is made, so that its C fields may be
   read without the lock by who keeps it alive. */
typedef struct {
    PyObject_HEAD
    PyObject *name;  /* a str */
    uint8_t *bytes;  /* what stands between the step and the value */
    size_t size;     /* of that, in bytes */
} Prefix;

/* One place in a lane. */
typedef struct {
    Prefix *prefix;  /* of a number's tag; NULL: any other entry */
    int64_t step;
    double time;
    union {
        float value;
        PyObject *entry;
    } as;
} Slot;

/* The light lane of a writer: a ring of slots, which grows. Shared by threads under the interpreter lock. */
typedef struct {
    PyObject_HEAD
    Slot *slots;
    size_t capacity;   /* a power of 2, or 0 */
    size_t first;      /* where the oldest is; below capacity */
    size_t count;
    Py_ssize_t room;   /* the fast path adds to fewer than so many; negative: it forgets */
    Py_ssize_t alarm;  /* and at so many goes the long way, which wakes the worker */
    PyObject *tags;    /* dict of Prefix by tag, an exact str, as it was given */
} Lane;

/* Numbers that were taken from a lane, and belong to who took them. */
typedef struct {
    PyObject_HEAD
    Slot *slots;
    size_t count;
    size_t bytes;  /* of their framed events */
} Numbers;

extern PyTypeObject *tblog_prefix_type, *tblog_lane_type, *tblog_numbers_type, *tblog_fast_method_type;
int tblog_lane_add(Lane *lane, Slot slot);
int tblog_lane_give_back(Lane *lane, Slot slot);
void tblog_slot_release(Slot *slot);
PyObject *tblog_slot_shown(const Slot *slot);
int tblog_prefix_prepare(PyObject *module);
int tblog_lane_prepare(PyObject *module);
int tblog_numbers_prepare(PyObject *module);
int tblog_fast_method_prepare(PyObject *module);
PyTypeObject *tblog_add_type(PyObject *module, PyType_Spec *spec, const char *name);

size_t tblog_event_bytes(const Slot *slot);

/* crc32c.c */
uint32_t tblog_crc32c(uint32_t crc, const uint8_t *data, size_t size);
void tblog_crc32c_prepare(void);
PyObject *tblog_crc32c_of(PyObject *module, PyObject *args);

/* counts.c */
PyObject *tblog_count(PyObject *module, PyObject *args);

#endif
