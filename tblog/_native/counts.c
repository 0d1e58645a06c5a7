/* Counts over TensorFlow's histogram bins, and moments: one pass over an array, without the lock.

   The table of tblog/summaries/_bins.py says which number a value has: its offset, by the upper 16 bits
   of a float64, added to the value's pattern, leaves the number in these bits. */
#include "native.h"

#include <math.h>

#define BLOCK 1024  /* values at a time: as float64, they stay in a first-level cache */
#define LANES 8     /* sums side by side, as the processor's wide registers take them */
#define WAYS 4      /* counters in turn: adding to one and the same waits for the last addition */
#define CELLS (1 << 16)

typedef struct {
    int64_t num;
    double min, max, sum, squares;
} Moments;

typedef struct {
    const int64_t *offsets;  /* CELLS of them */
    int64_t *counts;         /* WAYS rows of `numbers` */
    size_t numbers;
    Moments moments;
} Counting;

/* Unlocked: the moments of some values. */
static Moments moments_of(const double *values, size_t size)
{
    double low[LANES], high[LANES], sum[LANES] = {0}, squares[LANES] = {0};
    for (int lane = 0; lane < LANES; lane++)
        low[lane] = INFINITY, high[lane] = -INFINITY;
    size_t whole = size / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            double value = values[i + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
            sum[lane] += value;
            squares[lane] += value * value;
        }
    for (size_t i = whole; i < size; i++) {
        low[0] = values[i] < low[0] ? values[i] : low[0];
        high[0] = values[i] > high[0] ? values[i] : high[0];
        sum[0] += values[i];
        squares[0] += values[i] * values[i];
    }
    Moments all = {.num = (int64_t)size, .min = INFINITY, .max = -INFINITY};
    for (int lane = 0; lane < LANES; lane++) {
        all.min = low[lane] < all.min ? low[lane] : all.min;
        all.max = high[lane] > all.max ? high[lane] : all.max;
        all.sum += sum[lane];
        all.squares += squares[lane];
    }
    return all;
}

/* Unlocked: take in the finite values of a block, which this changes where some are not. */
static void add(Counting *all, double *values, size_t size)
{
    Moments here = moments_of(values, size);
    if (!isfinite(here.sum)) {
        size_t finite = 0;
        for (size_t i = 0; i < size; i++)
            if (isfinite(values[i]))
                values[finite++] = values[i];
        size = finite;
        here = moments_of(values, size);
    }
    all->moments.num += here.num;
    all->moments.min = here.min < all->moments.min ? here.min : all->moments.min;
    all->moments.max = here.max > all->moments.max ? here.max : all->moments.max;
    all->moments.sum += here.sum;
    all->moments.squares += here.squares;

    const int64_t *restrict offsets = all->offsets;
    int64_t *restrict counts = all->counts;
    const size_t numbers = all->numbers;
    for (size_t i = 0; i < size; i++) {
        uint64_t pattern;
        memcpy(&pattern, &values[i], 8);
        size_t number = (size_t)((pattern + (uint64_t)offsets[pattern >> 48]) >> 48);
        if (number < numbers)  /* so it is, with the table that this belongs to */
            counts[(i % WAYS) * numbers + number]++;
    }
}

#define WIDEN(name, type)                                          \
    static void name(const char *from, size_t size, double *to)    \
    {                                                              \
        for (size_t i = 0; i < size; i++) {                        \
            type value;                                            \
            memcpy(&value, from + i * sizeof(type), sizeof(type)); \
            to[i] = (double)value;                                 \
        }                                                          \
    }
/* Unlocked, all of them: numbers of one type as float64. */
WIDEN(from_f4, float)
WIDEN(from_f8, double)
WIDEN(from_i1, int8_t)
WIDEN(from_i2, int16_t)
WIDEN(from_i4, int32_t)
WIDEN(from_i8, int64_t)
WIDEN(from_u1, uint8_t)
WIDEN(from_u2, uint16_t)
WIDEN(from_u4, uint32_t)
WIDEN(from_u8, uint64_t)

/* Unlocked: the bits of a float16, moved to where float32 has them, are 2^112 times too small. */
static void from_f2(const char *from, size_t size, double *to)
{
    for (size_t i = 0; i < size; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, 2);
        uint32_t bits = (uint32_t)(half & 0x7FFF) << 13 | (uint32_t)(half & 0x8000) << 16;
        bits |= (half & 0x7C00) == 0x7C00 ? 0x7F800000u : 0;  /* not finite: it stays so */
        float value;
        memcpy(&value, &bits, 4);
        to[i] = (double)value * 0x1p112;
    }
}

static const struct {
    char name[3];
    size_t width;
    void (*widen)(const char *, size_t, double *);
} types[] = {
    {"f2", 2, from_f2}, {"f4", 4, from_f4}, {"f8", 8, from_f8}, {"i1", 1, from_i1}, {"i2", 2, from_i2}, {"i4", 4, from_i4},
    {"i8", 8, from_i8}, {"u1", 1, from_u1}, {"u2", 2, from_u2}, {"u4", 4, from_u4}, {"u8", 8, from_u8},
    {"b1", 1, from_u1},
};

/* Either. */
static int type_of(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0)
            return (int)i;
    return -1;
}

/* Unlocked. */
static void count_all(Counting *all, const char *values, size_t size, int type)
{
    double block[BLOCK];
    for (size_t start = 0; start < size; start += BLOCK) {
        size_t some = size - start < BLOCK ? size - start : BLOCK;
        types[type].widen(values + start * types[type].width, some, block);
        add(all, block, some);
    }
    for (size_t number = 0; number < all->numbers; number++)
        for (int way = 1; way < WAYS; way++)
            all->counts[number] += all->counts[way * all->numbers + number];
}

/* Either: whether numbers of 8 bytes may be read there. */
static int aligned(const Py_buffer *buffer)
{
    return (uintptr_t)buffer->buf % 8 == 0;
}

/* Locked: count(values, type, offsets, counts) -> (num, min, max, sum, sum_squares); adds to counts, of int64.
   The buffers are kept while the lock is not held. */
PyObject *tblog_count(PyObject *module, PyObject *args)
{
    Py_buffer values, offsets, counts;
    const char *name;
    PyObject *found = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*sy*w*", &values, &name, &offsets, &counts))
        return NULL;
    int type = type_of(name);
    Counting all = {.offsets = offsets.buf, .numbers = (size_t)counts.len / 8};
    all.moments = (Moments){.min = INFINITY, .max = -INFINITY};
    if (type < 0 || offsets.len != CELLS * 8 || counts.len % 8 || counts.len == 0 || counts.len / 8 > CELLS ||
        !aligned(&offsets) || !aligned(&counts)) {
        PyErr_Format(PyExc_ValueError, "values of type %s cannot be counted, or offsets are not 65,536 and counts not "
                     "1 to 65,536 numbers of int64", name);
    } else if ((all.counts = calloc(WAYS * all.numbers, sizeof *all.counts)) == NULL) {  /* at most 2 MB */
        PyErr_NoMemory();
    } else {
        size_t size = (size_t)values.len / types[type].width;
        Py_BEGIN_ALLOW_THREADS
        count_all(&all, values.buf, size, type);
        for (size_t number = 0; number < all.numbers; number++)
            ((int64_t *)counts.buf)[number] += all.counts[number];
        free(all.counts);
        Py_END_ALLOW_THREADS
        Moments *moments = &all.moments;
        found = Py_BuildValue("(Ldddd)", (long long)moments->num, moments->min, moments->max, moments->sum,
                              moments->squares);
    }
    PyBuffer_Release(&values);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&counts);
    return found;
}
