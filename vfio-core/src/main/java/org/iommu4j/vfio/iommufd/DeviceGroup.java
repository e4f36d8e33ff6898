// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.iommu4j.AttachResult;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/**
 * A group of devices in one iommufd, and the HWPTs that it is attached to: one for ordinary requests, one a PASID.
 *
 * <p>The first device of an attachment moves the whole group, and the last one moves it out. Under the object table's
 * monitor. Source: {@code struct iommufd_group}, {@code struct iommufd_attach}.
 */
final class DeviceGroup {
    /** Ordinary requests, without a PASID. */
    static final int NO_PASID = 0;

    /** What the group's devices are attached to, with those devices that said so. */
    private static final class Attachment {
        private Hwpt hwpt;
        private final List<IommuDevice> devices = new ArrayList<>();

        Attachment(Hwpt hwpt) {
            this.hwpt = hwpt;
        }
    }

    private final DmaGroup group;
    private final TreeMap<Integer, Attachment> attachments = new TreeMap<>();

    DeviceGroup(DmaGroup group) {
        this.group = group;
    }

    DmaGroup group() {
        return group;
    }

    /** Returns what a device is attached to, or null. */
    @Nullable
    Hwpt hwptOf(IommuDevice device, int pasid) {
        Attachment attachment = attachments.get(pasid);
        return attachment != null && attachment.devices.contains(device) ? attachment.hwpt : null;
    }

    /** Returns what the group is attached to, or null. */
    @Nullable
    Hwpt hwpt(int pasid) {
        Attachment attachment = attachments.get(pasid);
        return attachment == null ? null : attachment.hwpt;
    }

    /** Returns the PASIDs with which a device is attached, {@link #NO_PASID} among them. */
    List<Integer> pasidsOf(IommuDevice device) {
        List<Integer> pasids = new ArrayList<>();
        attachments.forEach((pasid, attachment) -> {
            if (attachment.devices.contains(device)) {
                pasids.add(pasid);
            }
        });
        return pasids;
    }

    /** How a device begins to ask for pages of a HWPT, and ends when it is not moved there after all. */
    record Faults(Runnable start, Runnable stop) {}

    /**
     * Attaches a device; the group is moved if no other device of it is attached.
     *
     * @throws IommuException EINVAL (the group is in another HWPT, or a device does not fit), and as {@link
     *     DmaGroup#attach}
     */
    void attach(IommuDevice device, int pasid, Hwpt hwpt, Faults faults) {
        Attachment attachment = attachments.get(pasid);
        if (attachment != null && attachment.hwpt != hwpt) {
            throw new IommuException(Errno.EINVAL, group + " is attached to " + attachment.hwpt + ", not to " + hwpt);
        }
        if (pasid == NO_PASID) {
            reserve(hwpt.ioas(), device);
        }
        try {
            if (attachment == null) {
                checkPasids(pasid, hwpt);
                move(faults, () -> moveTo(pasid, hwpt.domain()));
                attachment = new Attachment(hwpt);
                attachments.put(pasid, attachment);
            } else {
                faults.start().run();
            }
        } catch (RuntimeException failure) {
            if (pasid == NO_PASID) {
                hwpt.ioas().unreserve(device);
            }
            throw failure;
        }
        attachment.devices.add(device);
        hwpt.users++;
    }

    /**
     * Moves the group, with all of its attached devices, to another HWPT.
     *
     * @return the HWPT that it left
     * @throws IommuException EINVAL (a device does not fit), EADDRINUSE, and as {@link DmaGroup#replace}
     */
    Hwpt replace(int pasid, Hwpt hwpt, Faults faults) {
        Attachment attachment = attachments.get(pasid);
        if (attachment == null) {
            throw new IllegalStateException(group + " is not attached");
        }
        Hwpt old = attachment.hwpt;
        Ioas from = old.ioas();
        Ioas to = hwpt.ioas();
        boolean reserves = pasid == NO_PASID && from != to;
        int reserved = 0;
        try {
            for (; reserves && reserved < attachment.devices.size(); reserved++) {
                reserve(to, attachment.devices.get(reserved));
            }
            checkPasids(pasid, hwpt);
            move(faults, () -> replaceBy(pasid, old.domain(), hwpt.domain()));
        } catch (RuntimeException failure) {
            for (int i = 0; i < reserved; i++) {
                to.unreserve(attachment.devices.get(i));
            }
            throw failure;
        }
        if (reserves) {
            attachment.devices.forEach(from::unreserve);
        }
        attachment.hwpt = hwpt;
        hwpt.users += attachment.devices.size();
        old.users -= attachment.devices.size();
        return old;
    }

    /**
     * Detaches a device; the last device moves the group out, whatever fails.
     *
     * @return the HWPT that it left, and the failure, if any
     */
    Left detach(IommuDevice device, int pasid) {
        Attachment attachment = attachments.get(pasid);
        if (attachment == null || !attachment.devices.remove(device)) {
            throw new IllegalStateException(device.id() + " is not attached");
        }
        RuntimeException failure = null;
        if (attachment.devices.isEmpty()) {
            attachments.remove(pasid);
            failure = Failures.run(null, () -> moveOut(pasid, attachment.hwpt.domain()));
        }
        if (pasid == NO_PASID) {
            attachment.hwpt.ioas().unreserve(device);
        }
        attachment.hwpt.users--;
        return new Left(attachment.hwpt, failure);
    }

    /** What a device left, and a failure to invalidate it. */
    record Left(Hwpt hwpt, @Nullable RuntimeException failure) {}

    private static void reserve(Ioas ioas, IommuDevice device) {
        ioas.reserve(device.reservedRegions(), device);
    }

    /** Domains for devices with PASIDs do not mix with others. Source: {@code iommufd_hwpt_pasid_compat}. */
    private void checkPasids(int pasid, Hwpt hwpt) {
        if (pasid == NO_PASID) {
            if (!hwpt.pasidCompatible && attachments.higherKey(NO_PASID) != null) {
                throw new IommuException(Errno.EINVAL, hwpt + " was not made for devices that use PASIDs");
            }
            return;
        }
        Hwpt ordinary = hwpt(NO_PASID);
        if (!hwpt.pasidCompatible || (ordinary != null && !ordinary.pasidCompatible)) {
            throw new IommuException(Errno.EINVAL, hwpt + " or " + ordinary + " was not made for PASIDs");
        }
    }

    private static void move(Faults faults, Runnable move) {
        faults.start().run();
        try {
            move.run();
        } catch (RuntimeException failure) {
            Failures.run(failure, faults.stop());
            throw failure;
        }
    }

    private void moveTo(int pasid, IommuDomain domain) {
        if (pasid == NO_PASID) {
            check(group.attach(domain));
            return;
        }
        attachPasid(pasid, null, domain);
    }

    private void replaceBy(int pasid, IommuDomain old, IommuDomain domain) {
        if (pasid == NO_PASID) {
            check(group.replace(domain));
            return;
        }
        attachPasid(pasid, old, domain);
    }

    private void moveOut(int pasid, IommuDomain domain) {
        if (pasid == NO_PASID) {
            group.detach(domain);
            return;
        }
        RuntimeException failure = null;
        for (IommuDevice device : group.devices()) {
            failure = Failures.run(failure, () -> pasids(domain).detach(device, pasid));
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** Attaches a PASID of all devices, or of none. Source: {@code iommu_attach_device_pasid}. */
    private void attachPasid(int pasid, @Nullable IommuDomain old, IommuDomain domain) {
        PasidAttachment target = pasids(domain);
        int done = 0;
        try {
            for (; done < group.devices().size(); done++) {
                check(target.attach(group.devices().get(done), pasid));
            }
        } catch (RuntimeException failure) {
            for (int i = 0; i < done; i++) {
                IommuDevice device = group.devices().get(i);
                Failures.run(failure, () -> {
                    if (old == null) {
                        target.detach(device, pasid);
                    } else {
                        check(pasids(old).attach(device, pasid));
                    }
                });
            }
            throw failure;
        }
    }

    private static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment()
                .orElseThrow(() -> new IommuException(
                        Errno.EOPNOTSUPP, "domains of format " + domain.format() + " take no PASIDs"));
    }

    private static void check(AttachResult result) {
        if (!result.attached()) {
            throw new IommuException(Errno.EINVAL, String.valueOf(result.reason()));
        }
    }
}
