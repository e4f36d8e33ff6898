// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.CountedRemark;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.Reason;
import org.jspecify.annotations.Nullable;

/**
 * The audit of a host.
 *
 * @param host a name for people
 * @param linux the release whose rules apply
 * @param hostLinux the release that runs there, empty when the input does not state it
 * @param rule which units decide about no-snoop, null where no vendor was found
 * @param noRule why none was chosen though vendors may be known: another hypervisor has the IOMMU, or the kernel's
 *     number does not say which rule holds; null where one was chosen or no vendor was found
 * @param vendors the vendors whose units are there, by name; known where their units are not yet
 * @param iommuInUse whether Linux translates DMA there
 * @param interruptRemapping whether Linux remaps interrupts there
 * @param units its translation units
 * @param devices its PCI functions, sorted by address
 * @param groups its groups, sorted by number
 * @param assignment the answer for a virtual machine, null when none was asked for
 * @param falsePromises why the driver's promise to block no-snoop does not hold there; empty on most hosts
 * @param contradictions the facts on which inputs of one rank contradict each other, so that no guest is known to be
 *     coherent
 * @param cost the cost of a guest that is not coherent, under this release
 * @param remarks what Linux, firmware or QEMU said that an operator must know
 * @param hints what can be done about the host as a whole
 * @param warnings facts that are unknown, contradicted or not answered, one line each
 */
public record Audit(
        String host,
        LinuxRelease linux,
        Optional<LinuxRelease> hostLinux,
        @Nullable CoherencyRule rule,
        @Nullable String noRule,
        List<String> vendors,
        Answer iommuInUse,
        Answer interruptRemapping,
        List<AuditedUnit> units,
        List<AuditedDevice> devices,
        List<AuditedGroup> groups,
        @Nullable Assignment assignment,
        List<Reason> falsePromises,
        List<String> contradictions,
        String cost,
        List<CountedRemark> remarks,
        List<Reason> hints,
        List<String> warnings) {
    /** Copies the lists. */
    public Audit {
        Objects.requireNonNull(host, "host");
        Objects.requireNonNull(linux, "linux");
        Objects.requireNonNull(hostLinux, "hostLinux");
        Objects.requireNonNull(iommuInUse, "iommuInUse");
        Objects.requireNonNull(interruptRemapping, "interruptRemapping");
        Objects.requireNonNull(cost, "cost");
        vendors = List.copyOf(vendors);
        units = List.copyOf(units);
        devices = List.copyOf(devices);
        groups = List.copyOf(groups);
        falsePromises = List.copyOf(falsePromises);
        contradictions = List.copyOf(contradictions);
        remarks = List.copyOf(remarks);
        hints = List.copyOf(hints);
        warnings = List.copyOf(warnings);
    }

    /** Finds a device. */
    public Optional<AuditedDevice> device(PciAddress address) {
        Objects.requireNonNull(address, "address");
        return devices.stream()
                .filter(device -> device.address().equals(address))
                .findFirst();
    }

    /** Returns the units of which one translates for a device, as far as its vendor tells them. */
    List<AuditedUnit> candidates(AuditedDevice device) {
        return units.stream()
                .filter(unit -> device.candidates().contains(unit.description().id()))
                .toList();
    }

    /** Finds a unit by its id. */
    public Optional<AuditedUnit> unit(String id) {
        Objects.requireNonNull(id, "id");
        return units.stream().filter(unit -> unit.description().id().equals(id)).findFirst();
    }

    /**
     * Returns the devices that could be assigned to a guest: no bridges, and no known obstacle except drivers of the
     * group, which can be unbound as the device's own driver can.
     */
    public List<AuditedDevice> candidates() {
        return devices.stream()
                .filter(device -> device.bridge() != Answer.YES && device.assignableWithGroup() != Answer.NO)
                .toList();
    }

    /**
     * Returns the devices that decide the verdict: the candidates, and where VFIO accepts none, those that a guest
     * could get if it did.
     */
    List<AuditedDevice> judged() {
        List<AuditedDevice> candidates = candidates();
        return candidates.isEmpty()
                ? devices.stream().filter(AuditedDevice::matters).toList()
                : candidates;
    }

    /**
     * Returns how KVM treats the DMA of the virtual machine that was asked for, else of a guest that could get any of
     * the devices; where no input names a device, of any guest, if all units answer alike. It is unknown when there is
     * no such device, or when inputs contradict each other, unless the guest is known not to be coherent.
     */
    public Guest overall() {
        if (assignment != null) {
            return assignment.guest();
        }
        if (devices.isEmpty() && iommuInUse != Answer.NO) {
            Guest alike = Guest.of(UnitAnswers.alike(units));
            return alike == Guest.COHERENT && !contradictions.isEmpty() ? Guest.UNKNOWN : alike;
        }
        List<AuditedDevice> candidates = candidates();
        Guest guest = candidates.isEmpty() || !contradictions.isEmpty() ? Guest.UNKNOWN : Guest.COHERENT;
        for (AuditedDevice device : candidates) {
            guest = guest.and(device.guest());
        }
        return guest;
    }

    /**
     * Returns whether a script may treat the guest as coherent. It may when the guest is known to be coherent and no
     * promise of the driver is known to be false. For a virtual machine, all its domains must also be known to enforce,
     * even where KVM asks devices alone. Units alone do not suffice: the input must name the devices.
     */
    public boolean reliablyCoherent() {
        return overall() == Guest.COHERENT && !devices.isEmpty() && isKept();
    }

    /** Returns whether what KVM believes of a coherent guest holds, as far as known. */
    boolean isKept() {
        return falsePromises.isEmpty() && (assignment == null || assignment.dmaCcIommu() == Answer.YES);
    }

    /** Returns the rule that the answers follow, with its name and the release. */
    public String ruleInWords() {
        return rule != null
                ? inWords(rule)
                : "no rule: " + Objects.requireNonNullElse(noRule, "no IOMMU vendor was found");
    }

    static String inWords(CoherencyRule rule) {
        return rule + ": " + rule.meaning();
    }

    /**
     * Returns the audit of some devices and of what goes along with them: all of their groups.
     *
     * @throws InputException when there is no such device
     */
    public Audit only(Selection selection) {
        Objects.requireNonNull(selection, "selection");
        if (selection.isEmpty()) {
            return this;
        }
        Set<Integer> along = new HashSet<>();
        devices.stream().filter(selection::has).forEach(device -> device.group().ifPresent(along::add));
        List<AuditedDevice> kept = devices.stream()
                .filter(device -> selection.has(device)
                        || (device.group().isPresent()
                                && along.contains(device.group().getAsInt())))
                .toList();
        if (kept.isEmpty()) {
            throw new InputException("the input has no device of " + selection);
        }
        List<AuditedGroup> around =
                groups.stream().filter(group -> along.contains(group.id())).toList();
        return copy(kept, around, assignment);
    }

    Audit with(Assignment asked) {
        return copy(devices, groups, asked);
    }

    private Audit copy(List<AuditedDevice> devices, List<AuditedGroup> groups, @Nullable Assignment asked) {
        return new Audit(
                host,
                linux,
                hostLinux,
                rule,
                noRule,
                vendors,
                iommuInUse,
                interruptRemapping,
                units,
                devices,
                groups,
                asked,
                falsePromises,
                contradictions,
                cost,
                remarks,
                hints,
                warnings);
    }
}
