"""One package for each shape, copied into the folder of its project as the package `project`."""
