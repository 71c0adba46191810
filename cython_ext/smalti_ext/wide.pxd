"""Functions that are made once for each width of instructions, of which the best is chosen when they are loaded.

A function is named in C and declared as SMALTI_WIDE in the verbatim part of an extern block; its definition
in Cython takes that over. Loops over whole numbers give the same in any width. Where it is not known how to choose
(other compilers than GCC, other systems than Linux, arm64) such a function is made once, for the width that every
processor has; so it is in the checked build, which thereby tries it.
"""

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(SMALTI_NARROW)
    #define SMALTI_WIDE __attribute__((target_clones("avx2", "default")))
    #define SMALTI_WIDTHS 2
    #else
    #define SMALTI_WIDE
    #define SMALTI_WIDTHS 1
    #endif
    """
    int WIDTHS "SMALTI_WIDTHS"
