/* The module tblog._native._compiled: what tblog/_native/__init__.py offers, where it could be built.

   It shares state between threads under the interpreter lock alone, so it says nothing of running without
   it: a free-threaded interpreter takes the lock back when it loads such a module. (It could not load this
   one: there was no stable ABI for such builds when it was written, and the pure path is taken.) */
#include "native.h"

static PyMethodDef functions[] = {
    {"crc32c", tblog_crc32c_of, METH_VARARGS, "Return the CRC-32C of bytes."},
    {"count", tblog_count, METH_VARARGS, "Count values over bins."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "tblog._native._compiled", .m_size = -1, .m_methods = functions};

/* Locked: make a type, of which the module has a reference and the caller another; NULL and an exception. */
PyTypeObject *tblog_add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyObject *type = PyType_FromSpec(spec);
    if (type == NULL || PyModule_AddObjectRef(module, name, type) < 0) {
        Py_XDECREF(type);
        return NULL;
    }
    return (PyTypeObject *)type;
}

/* Locked. */
PyMODINIT_FUNC PyInit__compiled(void)
{
    tblog_crc32c_prepare();
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && (tblog_prefix_prepare(module) < 0 || tblog_lane_prepare(module) < 0 ||
                           tblog_numbers_prepare(module) < 0 || tblog_fast_method_prepare(module) < 0))
        Py_CLEAR(module);
    return module;
}
