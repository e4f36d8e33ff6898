// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;

/**
 * What is checked of any ioctl of {@code /dev/iommu} before it is looked into: its number, and the size of its
 * argument.
 *
 * <p>The methods of {@link Iommufd} begin behind these checks. Source: {@code iommufd_fops_ioctl}, {@code
 * copy_struct_from_user}.
 */
public final class IommufdIoctls {
    /** The number of the first ioctl; those below are VFIO's. */
    public static final int FIRST = 0x80;

    /** Least sizes in bytes, from {@link #FIRST} on: the structure as it was when the ioctl came. */
    private static final int[] LEAST = {
        8, 12, 24, 40, 32, 40, 24, 24, 12, 24, 32, 16, 48, 32, 16, 40, 24, 24, 8, 28, 40, 40
    };

    private IommufdIoctls() {}

    /**
     * Checks a number and a size.
     *
     * @param number the ioctl's number
     * @param size what the argument says that it has, in bytes
     * @param zeroTail whether all bytes are 0 behind the structure that the kernel knows; where the argument has none
     *     it does not matter
     * @throws IommuException ENOTTY (the release does not know the ioctl), EINVAL (too small), E2BIG (there are bytes
     *     that the kernel does not know)
     */
    public static void check(LinuxRelease release, int number, long size, boolean zeroTail) {
        checkNumber(release, number);
        if (size < LEAST[number - FIRST]) {
            throw new IommuException(
                    Errno.EINVAL, "ioctl 0x" + Integer.toHexString(number) + " with an argument of " + size + " bytes");
        }
        if (!zeroTail) {
            throw new IommuException(
                    Errno.E2BIG, "ioctl 0x" + Integer.toHexString(number) + " with bytes that are not known");
        }
    }

    /**
     * Checks an ioctl whose argument can't be read.
     *
     * @throws IommuException ENOTTY (the release does not know the ioctl), EFAULT
     */
    public static void checkUnreadable(LinuxRelease release, int number) {
        checkNumber(release, number);
        throw new IommuException(Errno.EFAULT, "no argument of ioctl 0x" + Integer.toHexString(number));
    }

    private static void checkNumber(LinuxRelease release, int number) {
        Objects.requireNonNull(release, "release");
        if (number < FIRST) {
            throw new IommuException(Errno.ENOTTY, "no ioctl 0x" + Integer.toHexString(number));
        }
        IommufdRules.of(release).checkKnows(number);
    }
}
