"""Loggers and callbacks for the frameworks that people train with, written through tblog.

Each module needs the framework that it is named after; an extra of that name installs it. The rest of tblog imports
nothing from here. A class has the name of the framework's own class for TensorBoard, so users change only the import.
"""
