// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

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

    /** A device that does DMA. */
    record OfDevice(BoundDevice bound) implements FileBinding {
        @Override
        public int id() {
            return bound.id();
        }

        @Override
        public int attach(int pageTableId) {
            return bound.attach(pageTableId);
        }

        @Override
        public int attachPasid(int pasid, int pageTableId) {
            return bound.attachPasid(pasid, pageTableId);
        }

        @Override
        public void detach() {
            bound.detach();
        }

        @Override
        public void detachPasid(int pasid) {
            bound.detachPasid(pasid);
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
