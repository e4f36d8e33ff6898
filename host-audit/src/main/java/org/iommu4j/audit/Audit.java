// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.Reason;
import org.jspecify.annotations.Nullable;

/**
 * What will happen on a host.
 *
 * @param host a name for people
 * @param linux the release by whose rules the answers are
 * @param hostLinux the release that runs there, empty when the input does not tell
 * @param rule whose ability decides about no-snoop, null where no vendor was found
 * @param iommuInUse whether Linux translates DMA there
 * @param units its translation units
 * @param devices its PCI functions, sorted by address
 * @param groups its groups, sorted by number
 * @param assignment the answer for a virtual machine, when one was asked for
 * @param falsePromises why the driver's promise to block no-snoop does not hold there; empty on most hosts
 * @param contradictions what inputs that are believed alike contradict each other about, so that no guest is known to
 *     be coherent
 * @param cost what a guest pays that is not coherent, under this release
 * @param hints what can be done about the host as a whole
 * @param warnings what is unknown, contradicts itself or was not answered, one line each
 */
public record Audit(
        String host,
        LinuxRelease linux,
        Optional<LinuxRelease> hostLinux,
        @Nullable CoherencyRule rule,
        Answer iommuInUse,
        List<AuditedUnit> units,
        List<AuditedDevice> devices,
        List<AuditedGroup> groups,
        @Nullable Assignment assignment,
        List<Reason> falsePromises,
        List<String> contradictions,
        String cost,
        List<Reason> hints,
        List<String> warnings) {
    /** Copies the lists. */
    public Audit {
        Objects.requireNonNull(host, "host");
        Objects.requireNonNull(linux, "linux");
        Objects.requireNonNull(hostLinux, "hostLinux");
        Objects.requireNonNull(iommuInUse, "iommuInUse");
        Objects.requireNonNull(cost, "cost");
        units = List.copyOf(units);
        devices = List.copyOf(devices);
        groups = List.copyOf(groups);
        falsePromises = List.copyOf(falsePromises);
        contradictions = List.copyOf(contradictions);
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

    /** Finds a unit by its id. */
    public Optional<AuditedUnit> unit(String id) {
        Objects.requireNonNull(id, "id");
        return units.stream().filter(unit -> unit.description().id().equals(id)).findFirst();
    }

    /**
     * Returns the devices that could be given to a guest: no bridges, and nothing known to stand against it but drivers
     * of its group, which unbinding removes as it does the device's own.
     */
    public List<AuditedDevice> candidates() {
        return devices.stream()
                .filter(device -> device.bridge() != Answer.YES && device.assignableWithGroup() != Answer.NO)
                .toList();
    }

    /**
     * Returns the devices that the verdict is about: the candidates, and where VFIO takes none at all, those that a
     * guest could get if it did.
     */
    List<AuditedDevice> judged() {
        List<AuditedDevice> candidates = candidates();
        return candidates.isEmpty()
                ? devices.stream().filter(AuditedDevice::matters).toList()
                : candidates;
    }

    /**
     * Returns what KVM believes: of the virtual machine when one was asked for, else of a guest that could get any of
     * the devices. Unknown when there is nothing to ask about, or when inputs contradict each other, unless it is known
     * not to be coherent.
     */
    public Guest overall() {
        if (assignment != null) {
            return assignment.guest();
        }
        List<AuditedDevice> candidates = candidates();
        Guest guest = candidates.isEmpty() || !contradictions.isEmpty() ? Guest.UNKNOWN : Guest.COHERENT;
        for (AuditedDevice device : candidates) {
            guest = guest.and(device.guest());
        }
        return guest;
    }

    /**
     * Returns whether a script may take the guest for coherent: it is known to be, and the driver's promise that it
     * follows from is not known to be false; of a virtual machine, its domains are known to enforce as well, where KVM
     * asks devices alone.
     */
    public boolean reliablyCoherent() {
        return overall() == Guest.COHERENT
                && falsePromises.isEmpty()
                && (assignment == null || assignment.dmaCcIommu() == Answer.YES);
    }

    /** Returns the rule that the answers follow, with its name and the release. */
    public String ruleInWords() {
        return rule == null ? "no rule: no IOMMU vendor was found" : inWords(rule);
    }

    static String inWords(CoherencyRule rule) {
        return rule + ": " + rule.meaning();
    }

    Audit with(Assignment asked) {
        return new Audit(
                host,
                linux,
                hostLinux,
                rule,
                iommuInUse,
                units,
                devices,
                groups,
                asked,
                falsePromises,
                contradictions,
                cost,
                hints,
                warnings);
    }
}
