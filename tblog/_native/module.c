/* The module tblog._native._compiled: what tblog/_native/__init__.py offers, where it could be built.

   It shares state between threads under the interpreter lock alone, so it says nothing of running without it:
   a free-threaded interpreter takes the lock back when it loads such a module. */
#include "native.h"

PyTypeObject *tblog_numbers_type, *tblog_lane_type, *tblog_fast_method_type;

static PyMethodDef functions[] = {
    {"crc32c", tblog_crc32c_of, METH_VARARGS, "Return the CRC-32C of bytes."},
    {"count", tblog_count, METH_VARARGS, "Count values over bins."},
    {"encode", tblog_encode, METH_VARARGS, "Return the framed events of numbers."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "tblog._native._compiled", .m_size = -1, .m_methods = functions};

/* Locked: make a type, of which the module has a reference and the file another; -1 and an exception. */
static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromSpec(spec);
    return *type == NULL ? -1 : PyModule_AddObjectRef(module, strrchr(spec->name, '.') + 1, (PyObject *)*type);
}

/* Locked. */
PyMODINIT_FUNC PyInit__compiled(void)
{
    tblog_crc32c_prepare();
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && (add_type(module, &tblog_numbers_spec, &tblog_numbers_type) < 0 ||
                           add_type(module, &tblog_lane_spec, &tblog_lane_type) < 0 ||
                           add_type(module, &tblog_fast_method_spec, &tblog_fast_method_type) < 0))
        Py_CLEAR(module);
    return module;
}
