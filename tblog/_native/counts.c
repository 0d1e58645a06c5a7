/* Counts over TensorFlow's histogram bins, and moments: one pass over an array, without the lock.

   The tables of tblog/summaries/_bins.py say which number a value has: its offset, by the upper 16 bits of
   the value's pattern, added to the pattern, leaves the number in these bits. float32 has a table, and float64. */
#include "native.h"

#include <math.h>

#define BLOCK 4096
#define LANES 16      /* sums side by side, as the processor's wide registers take them */
#define WAYS 4        /* counters in turn: adding to one and the same waits for the last addition */
#define NUMBERS 4096  /* more than a table has: a mask is cheaper than a comparison */
#define ROW (NUMBERS + 16)  /* places 4 KB apart look the same to a processor for a while */
#define CELLS (1 << 16)

/* Compiled for wider registers, too: the loader takes what the processor at hand can do. The next block is fetched
   meanwhile, which costs a third less time in arrays that are in no cache. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#define FETCH(place) __builtin_prefetch(place)
#else
#define FOR_EACH_PROCESSOR
#define FETCH(place)
#endif

typedef struct {
    const void *offsets;  /* CELLS, as wide as the values that are counted */
    const char *next;     /* values after those that are counted */
    int64_t *counts;      /* WAYS rows, each of NUMBERS */
    int64_t num;
    double min, max, sum, squares;
} Counting;

/* Unlocked, both: count values, finite or not; add the moments of at most BLOCK values that are finite. */
#define FUNCTIONS(type, word, count, add_moments)                                                   \
    static void count(const Counting *all, const type *values, size_t size)                         \
    {                                                                                               \
        const int shift = 8 * sizeof(word) - 16;                                                    \
        const word *restrict offsets = all->offsets;                                                \
        int64_t *restrict counts = all->counts;                                                     \
        size_t i = 0;                                                                               \
        for (; i + WAYS <= size; i += WAYS) {                                                       \
            word numbers[WAYS];                                                                     \
            FETCH((const char *)all->next + i * sizeof(type));                                      \
            memcpy(numbers, values + i, sizeof numbers);                                            \
            for (int way = 0; way < WAYS; way++)                                                    \
                numbers[way] = (word)(numbers[way] + offsets[numbers[way] >> shift]) >> shift;      \
            for (int way = 0; way < WAYS; way++)                                                    \
                counts[way * ROW + numbers[way] % NUMBERS]++;                                       \
        }                                                                                           \
        for (word number; i < size; i++) {                                                          \
            memcpy(&number, values + i, sizeof number);                                             \
            counts[((word)(number + offsets[number >> shift]) >> shift) % NUMBERS]++;               \
        }                                                                                           \
    }                                                                                               \
    FOR_EACH_PROCESSOR static void add_moments(Counting *all, type *values, size_t size)            \
    {                                                                                               \
        type low[LANES], high[LANES];                                                               \
        double sum[LANES] = {0}, squares[LANES] = {0}, total = 0;                                   \
        for (int lane = 0; lane < LANES; lane++)                                                    \
            low[lane] = INFINITY, high[lane] = -INFINITY;                                           \
        size_t i = 0;                                                                               \
        for (; i + LANES <= size; i += LANES)                                                       \
            for (int lane = 0; lane < LANES; lane++)                                                \
                ADD(lane, values[i + lane]);                                                        \
        for (; i < size; i++)                                                                       \
            ADD(0, values[i]);                                                                      \
        for (int lane = 0; lane < LANES; lane++)                                                    \
            total += sum[lane];                                                                     \
        if (!isfinite(total)) {                                                                     \
            size_t left = 0;                                                                        \
            for (i = 0; i < size; i++)                                                              \
                if (isfinite(values[i]))                                                            \
                    values[left++] = values[i];                                                     \
            if (left < size) {                                                                      \
                add_moments(all, values, left);                                                     \
                return;                                                                             \
            }                                                                                       \
        }                                                                                           \
        for (int lane = 0; lane < LANES; lane++) {                                                  \
            all->min = low[lane] < all->min ? low[lane] : all->min;                                 \
            all->max = high[lane] > all->max ? high[lane] : all->max;                               \
            all->squares += squares[lane];                                                          \
        }                                                                                           \
        all->sum += total;                                                                          \
        all->num += (int64_t)size;                                                                  \
    }
#define ADD(lane, value)                                       \
    (low[lane] = (value) < low[lane] ? (value) : low[lane],    \
     high[lane] = (value) > high[lane] ? (value) : high[lane], \
     sum[lane] += (value), squares[lane] += (double)(value) * (value))
FUNCTIONS(float, uint32_t, count_f4, add_moments_f4)
FUNCTIONS(double, uint64_t, count_f8, add_moments_f8)

/* Unlocked, all of them: numbers of one type, which may stand anywhere, as float or double. */
#define WIDEN(name, from, to, ...)                                   \
    static void name(const char *values, size_t size, void *block)   \
    {                                                                \
        for (size_t i = 0; i < size; i++) {                          \
            from value;                                              \
            memcpy(&value, values + i * sizeof value, sizeof value); \
            ((to *)block)[i] = (to)(value __VA_ARGS__);              \
        }                                                            \
    }
WIDEN(from_f4, float, float, )
WIDEN(from_b1, uint8_t, float, != 0)  /* a view of other bytes has others than 0 and 1 */
WIDEN(from_i1, int8_t, float, )
WIDEN(from_i2, int16_t, float, )
WIDEN(from_u1, uint8_t, float, )
WIDEN(from_u2, uint16_t, float, )
WIDEN(from_f8, double, double, )
WIDEN(from_i4, int32_t, double, )
WIDEN(from_i8, int64_t, double, )
WIDEN(from_u4, uint32_t, double, )
WIDEN(from_u8, uint64_t, double, )

static void from_bf2(const char *values, size_t size, void *block)
{
    for (size_t i = 0; i < size; i++) {  /* a bfloat16 is the upper half of a float */
        uint32_t bits = (uint32_t)(uint8_t)values[2 * i] << 16 | (uint32_t)(uint8_t)values[2 * i + 1] << 24;
        memcpy((float *)block + i, &bits, 4);
    }
}

static void from_f2(const char *values, size_t size, void *block)
{
    for (size_t i = 0; i < size; i++) {
        uint16_t half;
        float value;
        memcpy(&half, values + 2 * i, 2);
        int exponent = half & 0x7C00;
        uint32_t bits = (uint32_t)(half & 0x7FFF) << 13;
        bits += (exponent == 0x7C00 ? 224u : exponent ? 112u : 113u) << 23;
        memcpy(&value, &bits, 4);
        value -= exponent ? 0 : 0x1p-14f;  /* through normal numbers: a thread may flush others to 0 */
        memcpy(&bits, &value, 4);
        bits |= (uint32_t)(half & 0x8000) << 16;
        memcpy((float *)block + i, &bits, 4);
    }
}

static const struct type {
    char name[4];
    int wide;  /* whether counted as double */
    size_t size;
    void (*widen)(const char *, size_t, void *);
} types[] = {
    {"f4", 0, 4, from_f4}, {"f2", 0, 2, from_f2}, {"bf2", 0, 2, from_bf2}, {"b1", 0, 1, from_b1}, {"i1", 0, 1, from_i1},
    {"i2", 0, 2, from_i2}, {"u1", 0, 1, from_u1}, {"u2", 0, 2, from_u2}, {"f8", 1, 8, from_f8}, {"i4", 1, 4, from_i4},
    {"i8", 1, 8, from_i8}, {"u4", 1, 4, from_u4}, {"u8", 1, 8, from_u8},
};

/* Unlocked. Reads each value once: another thread may change it meanwhile, and counts and moments are those of the same
   values even then. */
static void count_all(Counting *all, const struct type *type, const char *values, size_t size)
{
    union { float narrow[BLOCK]; double wide[BLOCK]; } block;
    for (size_t some; size > 0; values += some * type->size, size -= some) {
        some = size < BLOCK ? size : BLOCK;
        type->widen(values, some, &block);
        all->next = values + some * type->size;
        if (type->wide)
            count_f8(all, block.wide, some), add_moments_f8(all, block.wide, some);
        else
            count_f4(all, block.narrow, some), add_moments_f4(all, block.narrow, some);
    }
}

/* Locked: count(values, type, offsets, counts) -> (num, min, max, sum, sum_squares); adds to counts, rows of int64 whose
   sum is meant. The buffers are kept while the lock is not held. */
PyObject *tblog_count(PyObject *module, PyObject *args)
{
    Py_buffer values, offsets, counts;
    const char *name;
    PyObject *found = NULL;
    const struct type *type = types, *end = types + sizeof types / sizeof *types;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*sy*w*", &values, &name, &offsets, &counts))
        return NULL;
    while (type < end && strcmp(name, type->name) != 0)
        type++;
    Counting all = {.offsets = offsets.buf, .counts = counts.buf, .min = INFINITY, .max = -INFINITY};
    if (type == end || offsets.len != (type->wide ? 8 : 4) * CELLS || counts.len != 8 * WAYS * ROW ||
        (uintptr_t)offsets.buf % 8 || (uintptr_t)counts.buf % 8) {
        PyErr_Format(PyExc_ValueError, "values of type %s cannot be counted, or there are not 65,536 offsets, as wide as "
                     "a float or double, and %d rows of %d counts of int64", name, WAYS, ROW);
    } else {
        Py_BEGIN_ALLOW_THREADS
        count_all(&all, type, values.buf, (size_t)values.len / type->size);
        Py_END_ALLOW_THREADS
        found = Py_BuildValue("(Ldddd)", (long long)all.num, all.min, all.max, all.sum, all.squares);
    }
    PyBuffer_Release(&values);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&counts);
    return found;
}
