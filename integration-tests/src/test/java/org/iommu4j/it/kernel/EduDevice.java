// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import org.iommu4j.sim.pcie.Endpoint;

/** QEMU's device EDU, which copies 16 bytes between memory and a buffer of its own. */
final class EduDevice {
    private EduDevice() {}

    /** The device reads 16 bytes. */
    static long[] read(Endpoint edu, long iova) {
        return new long[] {edu.read(iova, false), edu.read(iova + 8, false)};
    }

    /** The device writes them; where the unit refuses nothing is written. */
    static void write(Endpoint edu, long iova, long... words) {
        edu.write(iova, words[0], false);
        edu.write(iova + 8, words[1], false);
    }
}
