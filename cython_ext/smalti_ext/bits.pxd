"""Maps of one bit per pixel: an eighth of the memory of bytes, and empty stretches are passed 64 at a time."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define smalti_lowest_bit(word) __builtin_ctzll(word)
    #else
    static int smalti_lowest_bit(unsigned long long word) {
        int at = 0;
        while (!(word >> at & 1)) at++;
        return at;
    }
    #endif
    """
    int lowest_bit "smalti_lowest_bit"(uint64_t word) nogil


cdef struct Bits:
    # The words of row after row, the lowest bit of the first of a row being column 0.
    uint64_t* words
    Py_ssize_t per_row


cdef inline Bits bits_of(uint64_t[:, ::1] words) noexcept nogil:
    return Bits(&words[0, 0], words.shape[1])


cdef inline uint64_t* word_of(Bits bits, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    return bits.words + row * bits.per_row + (column >> 6)


cdef inline bint is_set(Bits bits, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    return (word_of(bits, row, column)[0] >> (column & 63)) & 1


cdef inline void set_bit(Bits bits, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    word_of(bits, row, column)[0] |= <uint64_t>1 << (column & 63)


cdef inline uint64_t stretch_of(Bits bits, Py_ssize_t row, Py_ssize_t column, Py_ssize_t n) noexcept nogil:
    """Bits of n columns, at most 63, from a column on; what is above them is undefined."""
    cdef const uint64_t* words = word_of(bits, row, column)
    cdef int shift = column & 63
    cdef uint64_t value = words[0] >> shift
    if shift + n > 64:
        value |= words[1] << (64 - shift)
    return value


cdef inline void set_stretch(Bits bits, Py_ssize_t row, Py_ssize_t column, Py_ssize_t n) noexcept nogil:
    """Set the bits of n columns, at most 63, from a column on."""
    cdef uint64_t* words = word_of(bits, row, column)
    cdef uint64_t ones = (<uint64_t>1 << n) - 1
    cdef int shift = column & 63
    words[0] |= ones << shift
    if shift + n > 64:
        words[1] |= ones >> (64 - shift)
