/* The prefix of a tag: the bytes of its events that do not vary. */
#include "native.h"

PyTypeObject *tblog_prefix_type;

/* Locked. */
static void prefix_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((Prefix *)self)->name);
    free(((Prefix *)self)->bytes);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Locked: Prefix(name, bytes). */
static PyObject *prefix_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *name;
    const char *bytes;
    Py_ssize_t size;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "Uy#", &name, &bytes, &size))
        return NULL;
    Prefix *prefix = (Prefix *)PyType_GenericAlloc(type, 0);
    if (prefix == NULL)
        return NULL;
    prefix->name = Py_NewRef(name);
    prefix->bytes = malloc((size_t)size + 1);
    if (prefix->bytes == NULL) {
        Py_DECREF((PyObject *)prefix);
        return PyErr_NoMemory();
    }
    memcpy(prefix->bytes, bytes, (size_t)size);
    prefix->size = (size_t)size;
    return (PyObject *)prefix;
}

static PyType_Slot slots[] = {
    {Py_tp_new, prefix_new},
    {Py_tp_dealloc, prefix_free},
    {Py_tp_doc, "The bytes of a tag's events between the step and the value."},
    {0, NULL},
};
static PyType_Spec spec = {"tblog._native._compiled.Prefix", sizeof(Prefix), 0, Py_TPFLAGS_DEFAULT, slots};

/* Locked. */
int tblog_prefix_prepare(PyObject *module)
{
    tblog_prefix_type = tblog_add_type(module, &spec, "Prefix");
    return tblog_prefix_type == NULL ? -1 : 0;
}
