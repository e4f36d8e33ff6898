// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * The Linux error numbers with which drivers, core, VFIO and KVM refuse.
 *
 * <p>Source: {@code include/uapi/asm-generic/errno-base.h} and {@code errno.h}.
 */
public enum Errno {
    /** Operation not permitted. */
    EPERM(1),
    /** No such entry. */
    ENOENT(2),
    /** Input or output failed: the hardware did not do what it was told. */
    EIO(5),
    /** No such address: here, no page size of the domain fits the mapping. */
    ENXIO(6),
    /** An argument has bytes that this kernel does not know. */
    E2BIG(7),
    /** Bad file descriptor. */
    EBADF(9),
    /** Out of memory, or a lock limit reached. */
    ENOMEM(12),
    /** Permission denied. */
    EACCES(13),
    /** Bad virtual address. */
    EFAULT(14),
    /** The device, group or domain is in use. */
    EBUSY(16),
    /** Something is there already. */
    EEXIST(17),
    /** No such device. */
    ENODEV(19),
    /** Invalid argument, or a device and a domain that do not fit each other. */
    EINVAL(22),
    /** No such ioctl. */
    ENOTTY(25),
    /** No space: identifiers, IOVA or entries exhausted. */
    ENOSPC(28),
    /** No place in a stream: a file that is read in whole records is read in parts of one. */
    ESPIPE(29),
    /** An address is outside what the table can express. */
    ERANGE(34),
    /** A user does not let go of what is to be removed. Linux also calls it EDEADLOCK. */
    EDEADLK(35),
    /** A sum of address and size does not fit its type. */
    EOVERFLOW(75),
    /** A file descriptor of another kind of file. */
    EBADFD(77),
    /** The answer does not fit the buffer. */
    EMSGSIZE(90),
    /** The operation is not supported by this driver. */
    EOPNOTSUPP(95),
    /** Part of the IOVA range is mapped already. */
    EADDRINUSE(98),
    /** The hardware did not answer in time. */
    ETIMEDOUT(110),
    /** The driver must be probed again later. */
    EPROBE_DEFER(517);

    private final int number;

    Errno(int number) {
        this.number = number;
    }

    /** Returns the positive error number on x86 Linux. */
    public int number() {
        return number;
    }
}
