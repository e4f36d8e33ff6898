// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.vfio.iommufd.Iommufd;

/**
 * What is checked of the arguments of VFIO's ioctls on groups and device files before they are looked into: flags and
 * size.
 *
 * <p>The methods of {@link VfioGroup} and {@link VfioDeviceFile} begin behind these checks. A container's calls have
 * their sizes among their arguments. Source: {@code drivers/vfio/group.c}, {@code device_cdev.c}.
 */
public final class VfioIoctls {
    /** An ioctl with an argument whose first field is its size. */
    public enum Call {
        /** VFIO_GROUP_GET_STATUS. */
        GROUP_GET_STATUS(8, 8),
        /** VFIO_DEVICE_BIND_IOMMUFD. */
        DEVICE_BIND_IOMMUFD(16, 16),
        /** VFIO_DEVICE_ATTACH_IOMMUFD_PT. */
        DEVICE_ATTACH_IOMMUFD_PT(12, 16),
        /** VFIO_DEVICE_DETACH_IOMMUFD_PT. */
        DEVICE_DETACH_IOMMUFD_PT(8, 12);

        private final int least;
        private final int leastWithPasid;

        Call(int least, int leastWithPasid) {
            this.least = least;
            this.leastWithPasid = leastWithPasid;
        }
    }

    /** The argument names a PASID. Source: {@code VFIO_DEVICE_ATTACH_PASID}, {@code VFIO_DEVICE_DETACH_PASID}. */
    public static final int PASID = 1;

    private VfioIoctls() {}

    /**
     * Checks flags and size.
     *
     * @param flags of the argument; of GROUP_GET_STATUS they are not looked at
     * @param argsz bytes of the argument, unsigned
     * @param zeroTail whether all bytes are 0 behind the structure that the kernel knows; only BIND_IOMMUFD asks, since
     *     6.17, and other calls ignore them
     * @throws IommuException EINVAL (fewer bytes than the call needs, an unknown flag), E2BIG (there are bytes that the
     *     kernel does not know)
     */
    public static void check(LinuxRelease release, Call call, int flags, int argsz, boolean zeroTail) {
        Objects.requireNonNull(release, "release");
        Objects.requireNonNull(call, "call");
        checkSize(call, argsz, call.least);
        boolean takesToken = call == Call.DEVICE_BIND_IOMMUFD && Iommufd.bindsByToken(release);
        if (takesToken && !zeroTail) {
            throw new IommuException(Errno.E2BIG, call + " with bytes that are not known");
        }
        int known =
                switch (call) {
                    case GROUP_GET_STATUS -> -1;
                    case DEVICE_BIND_IOMMUFD -> takesToken ? VfioDeviceFile.BIND_TOKEN : 0;
                    case DEVICE_ATTACH_IOMMUFD_PT, DEVICE_DETACH_IOMMUFD_PT ->
                        Iommufd.attachesPasids(release) ? PASID : 0;
                };
        if ((flags & ~known) != 0) {
            throw new IommuException(Errno.EINVAL, call + " with flags 0x" + Integer.toHexString(flags));
        }
        if (call.leastWithPasid != call.least && (flags & PASID) != 0) {
            checkSize(call, argsz, call.leastWithPasid);
        }
    }

    private static void checkSize(Call call, int argsz, int least) {
        if (Integer.compareUnsigned(argsz, least) < 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    call + " with " + Integer.toUnsignedString(argsz) + " bytes, expected at least " + least);
        }
    }
}
