// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.HashSet;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;

/**
 * What a device file is bound as: a device of an iommufd, or an access of it for the driver of an emulated one.
 *
 * <p>Under VFIO's lock. Source: {@code bind_iommufd} and {@code attach_ioas} of {@code struct vfio_device_ops}.
 */
interface FileBinding {
    /** Returns the object in the iommufd. */
    int id();

    /** Attaches, or moves. */
    int attach(int pageTableId);

    /** Attaches a PASID, or moves it. */
    int attachPasid(int pasid, int pageTableId);

    /** Detaches, if it is attached. */
    void detach();

    /** Detaches a PASID, if it is attached. */
    void detachPasid(int pasid);

    /** Ends it; the device is closed already. */
    void unbind();

    /**
     * A device that does DMA.
     *
     * <p>PASID 0 is iommufd's number for ordinary requests. VFIO keeps it among the PASIDs, apart from what is attached
     * without one, and the one does not move or detach the other. Source: {@code
     * vfio_iommufd_physical_pasid_attach_ioas} and its neighbours.
     */
    final class OfDevice implements FileBinding {
        private static final int ORDINARY = 0;

        private final BoundDevice bound;
        private final Set<Integer> pasids = new HashSet<>();
        private boolean attached;

        /** Makes what a device's file does with its object. */
        OfDevice(BoundDevice bound) {
            this.bound = bound;
        }

        @Override
        public int id() {
            return bound.id();
        }

        @Override
        public int attach(int pageTableId) {
            int hwpt = attached ? bound.attach(pageTableId) : bound.attachPasid(ORDINARY, pageTableId);
            attached = true;
            return hwpt;
        }

        @Override
        public int attachPasid(int pasid, int pageTableId) {
            if (pasid < 0) {
                throw new IommuException(
                        Errno.ENOSPC, "PASID " + Integer.toUnsignedString(pasid) + ", expected less than 2^31");
            }
            int hwpt = pasid == ORDINARY && pasids.contains(pasid)
                    ? bound.attach(pageTableId)
                    : bound.attachPasid(pasid, pageTableId);
            pasids.add(pasid);
            return hwpt;
        }

        @Override
        public void detach() {
            if (attached) {
                attached = false;
                bound.detach();
            }
        }

        @Override
        public void detachPasid(int pasid) {
            if (pasids.remove(pasid)) {
                bound.detachPasid(pasid);
            }
        }

        @Override
        public void unbind() {
            bound.unbind();
        }
    }

    /** An emulated device. Source: {@code vfio_iommufd_emulated_bind} and its neighbours. */
    final class OfEmulated implements FileBinding {
        private final IommufdAccess access;
        private boolean attached;

        private OfEmulated(IommufdAccess access) {
            this.access = access;
        }

        /** Makes the access of a device that is about to be opened. */
        static OfEmulated bind(Iommufd iommufd, VfioDevice device) {
            IommufdAccess made = iommufd.createAccess(device::unmapped, true);
            device.access = made;
            return new OfEmulated(made);
        }

        @Override
        public int id() {
            return access.id();
        }

        @Override
        public int attach(int ioasId) {
            if (attached) {
                access.replace(ioasId);
            } else {
                access.attach(ioasId);
            }
            attached = true;
            return ioasId;
        }

        @Override
        public int attachPasid(int pasid, int pageTableId) {
            throw noPasids();
        }

        @Override
        public void detach() {
            if (attached) {
                attached = false;
                access.detach();
            }
        }

        @Override
        public void detachPasid(int pasid) {
            throw noPasids();
        }

        /** Its driver let go, and its access was closed, when the device was. */
        @Override
        public void unbind() {
            attached = false;
        }

        private static IommuException noPasids() {
            return new IommuException(Errno.EOPNOTSUPP, "an emulated device has no PASIDs");
        }
    }
}
