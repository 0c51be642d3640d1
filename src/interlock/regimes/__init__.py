"""What kind of market it is, said by detectors that a lane declares by name; `none` is the absence of one."""
