/* A method with a fast path: a descriptor around the Python function, which has the signature, the docstring and the
   long way, and is called wherever anything is unusual.

   The interpreter calls a method of this kind without making a bound one or a tuple. It does so for types with
   the flags below, which are part of the stable ABI from Python 3.12 on, as are the functions; 3.11 has them under the
   same numbers and the same names. */
#include "native.h"

#include <structmember.h>

#define HAVE_VECTORCALL (1UL << 11)
#define METHOD_DESCRIPTOR (1UL << 17)
#define OFFSET_FLAG ((size_t)1 << (8 * sizeof(size_t) - 1))
#if Py_LIMITED_API < 0x030C0000
extern PyObject *PyObject_Vectorcall(PyObject *, PyObject *const *, size_t, PyObject *);
extern PyObject *PyVectorcall_Call(PyObject *, PyObject *, PyObject *);
#endif

typedef struct {
    PyObject_HEAD
    PyObject *(*vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *);
    tblog_Call fast;
    PyObject *parts;     /* keeps the next four alive */
    PyObject *function;  /* the Python function */
    PyObject *names;     /* tuple: of the writer's lane, and of the arguments that a fast call has; interned */
    PyObject *numbers;   /* dict: functions that make a float, by the type of a number */
    PyObject *bind;      /* makes a bound method */
    PyObject *dict;
} FastMethod;

/* Locked: whether the call gives the writer and the arguments that have names, in this order, and nothing else. */
static int fits(PyObject *names, Py_ssize_t count, PyObject *keywords)
{
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
    if (count < 1 || count + named != PyTuple_Size(names))
        return 0;
    while (named-- && PyTuple_GetItem(keywords, named) == PyTuple_GetItem(names, count + named))
        ;
    return named < 0;
}

/* Locked: the method. */
static PyObject *fast_call(PyObject *self, PyObject *const *args, size_t flagged, PyObject *keywords)
{
    FastMethod *method = (FastMethod *)self;
    if (fits(method->names, (Py_ssize_t)(flagged & ~OFFSET_FLAG), keywords)) {
        if (method->fast(PyTuple_GetItem(method->names, 0), method->numbers, args))
            Py_RETURN_NONE;
        /* The function meets the same error again, or knows a way; an interrupt is not to be lost. */
        if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_Exception))
                return NULL;
            PyErr_Clear();
        }
    }
    return PyObject_Vectorcall(method->function, args, flagged, keywords);
}

/* Locked: of an instance, a bound method like any other; of a class, the Python function itself, which is what tools
   expect there that look at signatures, replace methods or pickle them. */
static PyObject *get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    if (object == NULL || object == Py_None)
        return Py_NewRef(((FastMethod *)self)->function);
    return PyObject_CallFunctionObjArgs(((FastMethod *)self)->bind, self, object, NULL);
}

/* Locked: FastMethod(function, names, numbers, bind): of one number, with four names, or of a dict of them, with three. */
static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    PyObject *function, *names, *numbers, *bind;
    if (!PyArg_ParseTuple(args, "OO!O!O", &function, &PyTuple_Type, &names, &PyDict_Type, &numbers, &bind))
        return NULL;
    if (PyTuple_Size(names) != 4 && PyTuple_Size(names) != 3)
        return PyErr_Format(PyExc_ValueError, "no fast path has the arguments %R", names);
    FastMethod *method = (FastMethod *)PyType_GenericAlloc(type, 0);
    if (method == NULL)
        return NULL;
    method->vectorcall = fast_call;
    method->fast = PyTuple_Size(names) == 4 ? tblog_add_scalar : tblog_add_scalar_dict;
    method->parts = Py_NewRef(args);
    method->function = function, method->names = names, method->numbers = numbers, method->bind = bind;
    return (PyObject *)method;
}

/* Locked. */
static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((FastMethod *)self)->dict);
    Py_XDECREF(((FastMethod *)self)->parts);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Locked: the class of the Python function, for those who ask by isinstance whether a method is one they can read:
   torch's compiler, for one. */
static PyObject *get_class(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef((PyObject *)Py_TYPE(((FastMethod *)self)->function));
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FastMethod, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(FastMethod, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, new},       {Py_tp_dealloc, dealloc}, {Py_tp_call, PyVectorcall_Call}, {Py_tp_descr_get, get},
    {Py_tp_members, members}, {Py_tp_getset, getset},   {0, NULL},
};
PyType_Spec tblog_fast_method_spec = {
    "tblog._native._compiled.FastMethod", sizeof(FastMethod), 0,
    Py_TPFLAGS_DEFAULT | HAVE_VECTORCALL | METHOD_DESCRIPTOR, slots};
