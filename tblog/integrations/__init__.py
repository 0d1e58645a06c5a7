"""Loggers and callbacks for the frameworks that people train with, written through tblog.

Each module needs the framework that it is named after, and the extra of that name brings it. Nothing here is loaded
by the rest of tblog. A class has the name that the framework's own for TensorBoard has, so that the import is
all that changes.
"""
