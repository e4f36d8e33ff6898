// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.Optional;

/** A PCI function or bridge of the machine. */
public interface PciFunction {
    /** Returns where it is. */
    PciAddress address();

    /** Returns the bridge directly above, empty on a root bus. */
    Optional<PciAddress> upstreamBridge();

    /**
     * Returns whether {@link #upstreamBridge} is known. If it is not, any bridge may be above. Of a running machine it
     * always is; a listing without bus numbers does not have it.
     */
    default boolean placed() {
        return true;
    }

    /** Returns the physical function that it is a virtual one of (SR-IOV), empty when it is none. */
    default Optional<PciAddress> physicalFunction() {
        return Optional.empty();
    }

    /** Returns its configuration space. */
    ConfigSpace config();

    /**
     * Returns whether firmware marked this port as facing outside the case (Thunderbolt).
     *
     * <p>Source: the {@code ExternalFacingPort} device property.
     */
    default boolean externalFacing() {
        return false;
    }
}
