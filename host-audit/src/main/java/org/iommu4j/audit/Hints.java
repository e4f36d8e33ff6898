// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;

/** Makes hints: what an operator can do. Each is made only where it applies. */
final class Hints {
    private static final String CLAIM = "Linux iommu_group_claim_dma_owner";

    /** How many reasons of one kind, or addresses, are named before the rest is counted. */
    static final int SHOWN = 8;

    private Hints() {}

    /** Returns what can be done about a device that makes its guest not coherent. */
    static List<Reason> of(FunctionEvidence function, DeviceDescription device, HostDescription host) {
        List<Reason> hints = new ArrayList<>();
        if (device.enforceCacheCoherency() != Answer.NO || device.translated() != Answer.YES) {
            return hints;
        }
        Optional<UnitDescription> own = host.units().stream()
                .filter(unit -> unit.id().equals(device.unit()))
                .findFirst();
        if (host.rule() == CoherencyRule.PER_MACHINE
                && own.isPresent()
                && own.get().abilities().blocksNoSnoop() == Answer.YES) {
            hints.add(new Reason(
                    "run Linux 5.19 or newer: there only the device's own unit, "
                            + own.get().id() + ", decides",
                    "Linux 5.19 intel_iommu_enforce_cache_coherency"));
        }
        Optional<UnitDescription> other = host.units().stream()
                .filter(unit -> unit.abilities().blocksNoSnoop() == Answer.YES
                        && unit.includeAll() == Answer.YES
                        && !unit.id().equals(device.unit()))
                .findFirst();
        if (host.rule() != CoherencyRule.PER_MACHINE && other.isPresent() && function.placed()) {
            hints.add(
                    function.upstreamBridge().isPresent()
                            ? new Reason(
                                    "put the card into a slot behind "
                                            + other.get().id() + ", which can block no-snoop",
                                    "firmware's table of scopes")
                            : new Reason(
                                    "the device is part of the chipset or processor and can't leave "
                                            + device.unit() + "; use a card of the same kind in a slot behind "
                                            + other.get().id() + ", which can block no-snoop",
                                    "firmware's table of scopes"));
        }
        Optional<PciAddress> physical = function.physicalFunction();
        if (physical.isPresent()) {
            if (function.noSnoopEnabled() == Answer.YES) {
                hints.add(new Reason(
                        "clear Enable No Snoop of " + physical.get() + " (setpci -s " + physical.get()
                                + " CAP_EXP+8.w=0:0800): its virtual functions must then not send no-snoop, and their"
                                + " guests can't set the bit; the answers of VFIO and KVM do not change",
                        "PCI Express: the bit is reserved in virtual functions"));
            }
        } else if (function.noSnoopEnabled() == Answer.YES) {
            hints.add(new Reason(
                    "clear Enable No Snoop (setpci -s BDF CAP_EXP+8.w=0:0800): the device must then not send no-snoop,"
                            + " but VFIO lets the guest set the bit again; the answers of VFIO and KVM do not change",
                    "Linux vfio_pci_config.c init_pci_cap_exp_perm"));
        } else if (function.noSnoopEnabled() == Answer.NO) {
            hints.add(new Reason(
                    "Enable No Snoop is off: the device must not send no-snoop until the bit is set, and VFIO lets the"
                            + " guest set it; VFIO and KVM do not read the bit",
                    "Linux vfio_pci_config.c init_pci_cap_exp_perm"));
        }
        return hints;
    }

    /** Returns what can be done about the host as a whole. */
    static List<Reason> ofHost(HostEvidence evidence, List<HostDescription> hosts, IommuVendors vendors) {
        List<Reason> hints = new ArrayList<>();
        if (evidence.iommuInUse() == Answer.NO) {
            hints.addAll(whereNotInUse(evidence, hosts, vendors));
        } else {
            if (evidence.iommuInUse() == Answer.UNKNOWN) {
                hints.addAll(parameters(evidence, parameters(hosts), KernelParameter.Effect.DISABLES, true));
            }
            hints.addAll(parameters(evidence, parameters(hosts), KernelParameter.Effect.DISABLES_SOME, true));
        }
        if (evidence.interruptRemapping() == Answer.NO && evidence.iommuInUse() != Answer.NO) {
            if (!evidence.bootOptions().interruptRemapping()) {
                String off = evidence.bootOptions().has("intremap", "off") ? "intremap=off" : "nointremap";
                hints.add(new Reason("remove " + off + " from the kernel's command line", "Linux setup_irqremap"));
            }
            hints.add(new Reason(
                    evidence.unsafeInterruptsAllowed()
                            ? "unset module parameter vfio_iommu_type1.allow_unsafe_interrupts unless guests "
                                    + "are trusted:"
                                    + " devices are assigned without interrupt remapping, and a guest can inject any"
                                    + " interrupt into the host"
                            : "set module parameter vfio_iommu_type1.allow_unsafe_interrupts=1 to assign "
                                    + "devices without"
                                    + " interrupt remapping: a guest can then inject any interrupt into the host",
                    "Linux vfio_iommu_type1.c allow_unsafe_interrupts"));
        }
        if (evidence.functions().isEmpty() && !evidence.units().isEmpty()) {
            hints.add(new Reason(
                    "to find a device's unit, run readlink /sys/bus/pci/devices/BDF/iommu; the first unit often serves"
                            + " the integrated graphics alone, and the others may differ from it",
                    "Linux iommu_device_link"));
        }
        return hints;
    }

    /** Without a firmware table the vendor is unknown, so the parameters of every vendor apply. */
    private static List<Reason> whereNotInUse(
            HostEvidence evidence, List<HostDescription> hosts, IommuVendors vendors) {
        List<KernelParameter> parameters = hosts.isEmpty()
                ? vendors.all().stream()
                        .flatMap(vendor -> vendor.kernelParameters().stream())
                        .toList()
                : parameters(hosts);
        List<Reason> off = parameters(evidence, parameters, KernelParameter.Effect.DISABLES, true);
        if (!off.isEmpty()) {
            return off;
        }
        if (!hosts.isEmpty()) {
            return parameters(evidence, parameters, KernelParameter.Effect.ENABLES, false);
        }
        Optional<Reason> virtual = VirtualMachines.advice(evidence);
        if (virtual.isPresent()) {
            return List.of(virtual.get());
        }
        if (evidence.firmwareWithoutIommu()) {
            return List.of(new Reason(
                    "turn the IOMMU (VT-d, AMD-Vi) on in the firmware setup, if processor and board have one: firmware"
                            + " gives Linux no table of an IOMMU",
                    "ACPI tables of the input"));
        }
        return List.of(new Reason(
                "list /sys/firmware/acpi/tables as root: if no table of an IOMMU is there, turn the IOMMU on in the"
                        + " firmware setup, if processor and board have one",
                "the input has no ACPI table of a known vendor"));
    }

    private static List<KernelParameter> parameters(List<HostDescription> hosts) {
        return hosts.stream().flatMap(host -> host.parameters().stream()).toList();
    }

    /** Returns hints about the parameters with an effect that the command line has, or does not have. */
    private static List<Reason> parameters(
            HostEvidence evidence, List<KernelParameter> parameters, KernelParameter.Effect effect, boolean given) {
        BootOptions options = evidence.bootOptions();
        return parameters.stream()
                .filter(parameter ->
                        parameter.effect() == effect && options.has(parameter.parameter(), parameter.value()) == given)
                .map(parameter -> new Reason(
                        (given ? "remove " + parameter + " from the kernel's command line" : "boot with " + parameter)
                                + ": it " + parameter.why().text(),
                        parameter.why().source()))
                .distinct()
                .toList();
    }

    /** Returns what can be done about a function that can't be assigned because a VMD is above it. */
    static Reason belowVmd(Optional<PciAddress> vmd) {
        return new Reason(
                "assign " + vmd.map(address -> "the VMD " + address).orElse("the VMD")
                        + " with all that is behind it, or turn VMD off in the firmware setup",
                "Linux vmd.c");
    }

    /** Returns what can be done about a group that VFIO refuses: the same for each of its devices. */
    static Reason ofGroup(int group, Collection<PciAddress> bound) {
        return new Reason(
                "assign " + few(bound) + " of group " + group + " to the same guest as well, or unbind from the driver",
                CLAIM);
    }

    /** Returns what can be done about bridges of a group that drivers of the host have; bridges are not assignable. */
    static Reason ofBridges(int group, Collection<PciAddress> bound) {
        return new Reason("unbind the bridge " + few(bound) + " of group " + group + " from its driver", CLAIM);
    }

    private static String few(Collection<PciAddress> addresses) {
        int more = addresses.size() - SHOWN - 1;
        return addresses.stream().limit(SHOWN + 1).map(PciAddress::toString).collect(Collectors.joining(", "))
                + (more > 0 ? " and " + more + " more" : "");
    }

    /** Returns whether a hint is about the group, so that it depends on the guest's other devices. */
    static boolean isOfGroup(Reason hint) {
        return hint.source().equals(CLAIM);
    }
}
