// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.device.DeviceId;
import org.iommu4j.riscv.fmt.DeviceContext;
import org.iommu4j.riscv.reg.Capabilities;
import org.jspecify.annotations.Nullable;

/**
 * Makes devices' contexts, and moves devices between domains.
 *
 * <p>Its monitor guards devices, domains and device directories. Units' monitors are taken inside. Mapping takes
 * neither.
 */
final class Attacher {
    private final DriverState driver;

    /** A list, for a walk that allocates nothing. */
    private final List<RiscvDevice> devices = new ArrayList<>();

    private final Set<DomainState> domains = new LinkedHashSet<>();

    Attacher(DriverState driver) {
        this.driver = driver;
    }

    // --- devices ---

    /** Returns a device that was probed, or null. */
    synchronized @Nullable RiscvDevice device(DeviceId id) {
        for (RiscvDevice device : devices) {
            if (device.id().equals(id)) {
                return device;
            }
        }
        return null;
    }

    /**
     * Makes the contexts of a device, which are not valid yet; empty when its unit's directory has no room for an id
     * (in Linux the device's probe ends with ENODEV).
     *
     * @throws IommuException ENOMEM; tables that were linked stay, empty
     */
    synchronized Optional<RiscvDevice> add(DeviceId id, RiscvUnit unit, long[] ids) {
        DeviceDirectory directory = unit.directory();
        long[] contexts = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            if (!directory.holds(ids[i])) {
                return Optional.empty();
            }
            contexts[i] = directory.context(ids[i]);
        }
        RiscvDevice device = new RiscvDevice(driver.iommu(), id, unit, ids, contexts);
        for (int i = 0; i < ids.length; i++) {
            if (otherUser(device, contexts[i]) == null) {
                directory.translationControl(contexts[i], control(unit));
            }
            unit.note(ids[i], id);
        }
        devices.add(device);
        return Optional.of(device);
    }

    /** Returns the translation control of a context that is not valid. */
    private long control(RiscvUnit unit) {
        return driver.rules().hardwareUpdates() && Capabilities.AMO_HWAD.isSet(unit.capabilities())
                ? DeviceContext.SADE.mask()
                : 0;
    }

    /** Returns another device that has a context and whose requests pass, or null. */
    private @Nullable RiscvDevice otherUser(RiscvDevice device, long context) {
        for (int i = 0; i < devices.size(); i++) {
            RiscvDevice other = devices.get(i);
            if (other != device && other.passes() && other.uses(context)) {
                return other;
            }
        }
        return null;
    }

    /**
     * Returns the device as this driver made it.
     *
     * @throws IommuException ENODEV when another did
     */
    RiscvDevice own(IommuDevice device) {
        if (device instanceof RiscvDevice own && own.iommu() == driver.iommu()) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.id() + " belongs to another driver");
    }

    // --- domains ---

    synchronized void add(DomainState domain) {
        domains.add(domain);
    }

    /**
     * Throws when a device is attached to any domain.
     *
     * @throws IommuException EBUSY
     */
    synchronized void checkEmpty() {
        domains.forEach(this::checkEmpty);
    }

    private void checkEmpty(DomainState domain) {
        for (RiscvDevice device : devices) {
            if (device.domain() == domain) {
                throw new IommuException(Errno.EBUSY, "close: " + device + " is attached");
            }
        }
    }

    /** Closes a domain; see {@link org.iommu4j.IommuDomain#close}. */
    synchronized void close(DomainState domain) {
        if (!domain.isClosed()) {
            checkEmpty(domain);
            domains.remove(domain);
            domain.shut();
            domain.free();
        }
    }

    /** Closes all domains, which have no device. */
    synchronized void close() {
        List.copyOf(domains).forEach(this::close);
    }

    // --- moving a device ---

    /** Moves a device to a domain; see {@link org.iommu4j.IommuDomain#attach}. */
    synchronized void attach(IommuDevice given, DomainState domain) {
        RiscvDevice device = own(given);
        domain.checkOpen();
        DomainState old = device.domain();
        if (old == domain) {
            return;
        }
        RiscvUnit unit = device.unit();
        domain.checkFits(unit);
        if (unit.isBroken()) {
            throw unit.refusal(true, "attach " + device);
        }
        domain.join(unit);
        if (!move(device, old, domain)) {
            restore(device, old);
            domain.leave(unit);
            domain.leaveBehind();
            throw unit.refusal(false, "attach " + device);
        }
        device.setDomain(domain);
        if (old != null) {
            old.leave(unit);
        }
    }

    /** Blocks a device; see {@link org.iommu4j.IommuDomain#detach}. */
    synchronized void detach(IommuDevice given, DomainState domain) {
        RiscvDevice device = own(given);
        domain.checkOpen();
        if (device.domain() != domain) {
            throw new IommuException(Errno.EINVAL, "detach: " + device + " is not attached to this domain");
        }
        RiscvUnit unit = device.unit();
        boolean wasBroken = unit.isBroken();
        boolean moved = move(device, domain, null);
        device.setDomain(null);
        domain.leave(unit);
        if (!moved) {
            domain.leaveBehind();
            throw unit.refusal(wasBroken, "detach " + device);
        }
    }

    /**
     * Changes a device's contexts in the steps of Linux's {@code riscv_iommu_iodir_update}: they are taken out of use
     * and forgotten, then stored anew. Meanwhile its requests are refused. An id that blocks here and that another
     * device goes on using keeps that one's context. Last, the unit forgets the old domain if it has no other device.
     *
     * @return whether the unit completed all
     */
    private boolean move(RiscvDevice device, @Nullable DomainState from, @Nullable DomainState to) {
        RiscvUnit unit = device.unit();
        boolean passes = to != null && to.passes();
        boolean[] shared = device.shared();
        for (int i = 0; i < shared.length; i++) {
            shared[i] = !passes && otherUser(device, device.contexts()[i]) != null;
        }
        boolean done = unit.retire(device.ids(), device.contexts(), shared);
        if (done || to == null) {
            done &= unit.assign(device.ids(), device.contexts(), shared, passes, firstStage(to), tag(to));
        }
        return done && (from == null || !from.isLast(unit) || unit.forget(from.tag()));
    }

    /** Stores a device's contexts as they were; a unit that did not confirm may use either. */
    private void restore(RiscvDevice device, @Nullable DomainState old) {
        boolean passed = old != null && old.passes();
        for (long its : device.contexts()) {
            RiscvDevice other = passed ? null : otherUser(device, its);
            DomainState domain = other == null ? old : other.domain();
            device.unit().store(its, domain != null && domain.passes(), firstStage(domain), tag(domain));
        }
    }

    private static long firstStage(@Nullable DomainState domain) {
        return domain == null ? DeviceContext.BARE : domain.firstStage();
    }

    private static int tag(@Nullable DomainState domain) {
        return domain == null ? DomainState.NO_TAG : domain.tag();
    }
}
