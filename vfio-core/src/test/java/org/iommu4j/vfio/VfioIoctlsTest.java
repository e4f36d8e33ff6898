// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.vfio.VfioIoctls.Call;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sizes and flags of arguments, before they are looked into. */
class VfioIoctlsTest {
    /** Returns the errno, or null. */
    private static Errno errno(String release, Call call, int flags, int argsz, boolean zeroTail) {
        try {
            VfioIoctls.check(LinuxRelease.of(release), call, flags, argsz, zeroTail);
            return null;
        } catch (IommuException refusal) {
            return refusal.errno();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "GROUP_GET_STATUS, 0, 8",
        "DEVICE_BIND_IOMMUFD, 0, 16",
        "DEVICE_ATTACH_IOMMUFD_PT, 0, 12",
        "DEVICE_ATTACH_IOMMUFD_PT, 1, 16",
        "DEVICE_DETACH_IOMMUFD_PT, 0, 8",
        "DEVICE_DETACH_IOMMUFD_PT, 1, 12"
    })
    void anArgumentHasAtLeastTheFieldsThatItsFlagsName(Call call, int flags, int least) {
        assertThat(errno("7.3", call, flags, least, true)).isNull();
        assertThat(errno("7.3", call, flags, -1, true)).as("any larger one").isNull();
        assertThat(errno("7.3", call, flags, least - 1, true)).isEqualTo(Errno.EINVAL);
        assertThat(errno("7.3", call, flags, 0, true)).isEqualTo(Errno.EINVAL);
    }

    @ParameterizedTest
    @CsvSource({
        "6.6, DEVICE_BIND_IOMMUFD, 1, EINVAL",
        "6.16, DEVICE_BIND_IOMMUFD, 1, EINVAL",
        "6.17, DEVICE_BIND_IOMMUFD, 1,",
        "7.3, DEVICE_BIND_IOMMUFD, 2, EINVAL",
        "6.14, DEVICE_ATTACH_IOMMUFD_PT, 1, EINVAL",
        "6.15, DEVICE_ATTACH_IOMMUFD_PT, 1,",
        "7.3, DEVICE_ATTACH_IOMMUFD_PT, 2, EINVAL",
        "6.14, DEVICE_DETACH_IOMMUFD_PT, 1, EINVAL",
        "6.15, DEVICE_DETACH_IOMMUFD_PT, 1,",
        "5.15, GROUP_GET_STATUS, -1,",
        "7.3, GROUP_GET_STATUS, -1,"
    })
    void aFlagIsKnownFromItsReleaseOn(String release, Call call, int flags, Errno errno) {
        assertThat(errno(release, call, flags, 64, true)).isEqualTo(errno);
    }

    @ParameterizedTest
    @CsvSource({"6.16, DEVICE_BIND_IOMMUFD,", "6.17, DEVICE_BIND_IOMMUFD, E2BIG", "7.3, DEVICE_ATTACH_IOMMUFD_PT,"})
    void onlyABindLooksAtBytesThatItDoesNotKnowSince617(String release, Call call, Errno errno) {
        assertThat(errno(release, call, 0, 64, false)).isEqualTo(errno);
    }
}
