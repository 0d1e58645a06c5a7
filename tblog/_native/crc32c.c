/* CRC-32C (RFC 3720, section B.4): by the processor's instruction where it has one, or by a table. */
#include "native.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <nmmintrin.h>
#define BY_INSTRUCTION __attribute__((target("sse4.2")))
#define IS_THERE __builtin_cpu_supports("sse4.2")
#define OF_8_BYTES(crc, word) (uint32_t)_mm_crc32_u64(crc, word)
#define OF_A_BYTE _mm_crc32_u8
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define BY_INSTRUCTION
#define IS_THERE 1
#define OF_8_BYTES __crc32cd
#define OF_A_BYTE __crc32cb
#endif

static uint32_t table[256];

/* Unlocked. */
static uint32_t by_table(uint32_t crc, const uint8_t *data, size_t size)
{
    while (size--)
        crc = crc >> 8 ^ table[(crc ^ *data++) & 0xFF];
    return crc;
}

#if defined(BY_INSTRUCTION)
/* Unlocked. */
BY_INSTRUCTION static uint32_t by_instruction(uint32_t crc, const uint8_t *data, size_t size)
{
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        crc = OF_8_BYTES(crc, word);
    }
    while (size--)
        crc = OF_A_BYTE(crc, *data++);
    return crc;
}
#endif

static uint32_t (*chosen)(uint32_t, const uint8_t *, size_t) = by_table;

/* Locked: once, when the module is loaded. */
void tblog_crc32c_prepare(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
        table[byte] = crc;
    }
#if defined(BY_INSTRUCTION)
    if (IS_THERE)
        chosen = by_instruction;
#endif
}

/* Either: the checksum of data, given that of what stands before it, or 0. */
uint32_t tblog_crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
    return ~chosen(~crc, data, size);
}

/* Locked: crc32c(data, before=0). Lets go of the lock for large data, whose buffer it keeps. */
PyObject *tblog_crc32c_of(PyObject *module, PyObject *args)
{
    Py_buffer data;
    unsigned int before = 0, crc;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*|I", &data, &before))
        return NULL;
    PyThreadState *state = data.len < TBLOG_UNLOCK_AT ? NULL : PyEval_SaveThread();
    crc = tblog_crc32c(before, data.buf, (size_t)data.len);
    if (state != NULL)
        PyEval_RestoreThread(state);
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(crc);
}
