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

/** What can be done; each only where it is true. */
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
                            + own.get().id() + ", counts",
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
                                    "it is part of the chipset or processor and stays behind " + device.unit()
                                            + "; a card of its kind in a slot would be behind "
                                            + other.get().id() + ", which can block no-snoop",
                                    "firmware's table of scopes"));
        }
        Optional<PciAddress> physical = function.physicalFunction();
        if (physical.isPresent()) {
            if (function.noSnoopEnabled() == Answer.YES) {
                hints.add(new Reason(
                        "clear Enable No Snoop of " + physical.get() + " (setpci -s " + physical.get()
                                + " CAP_EXP+8.w=0:0800): its virtual functions may then send none, and a guest that "
                                + "has one"
                                + " can't set it; VFIO and KVM answer as before",
                        "PCI Express: the bit is reserved in virtual functions"));
            }
        } else if (function.noSnoopEnabled() == Answer.YES) {
            hints.add(new Reason(
                    "clear Enable No Snoop (setpci -s BDF CAP_EXP+8.w=0:0800): the device may then send none, but VFIO"
                            + " lets the guest set it again, and VFIO and KVM answer as before",
                    "Linux vfio_pci_config.c init_pci_cap_exp_perm"));
        } else if (function.noSnoopEnabled() == Answer.NO) {
            hints.add(new Reason(
                    "Enable No Snoop is off: the device may send none until somebody sets it, and VFIO lets the guest;"
                            + " VFIO and KVM do not look at it",
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
                hints.add(new Reason("take " + off + " off the kernel's command line", "Linux setup_irqremap"));
            }
            hints.add(new Reason(
                    evidence.unsafeInterruptsAllowed()
                            ? "take allow_unsafe_interrupts off module vfio_iommu_type1 unless guests are trusted: "
                                    + "devices"
                                    + " are assigned without interrupt remapping, and a guest can inject any "
                                    + "interrupt into"
                                    + " the host"
                            : "module parameter vfio_iommu_type1.allow_unsafe_interrupts=1 assigns without interrupt"
                                    + " remapping: a guest can then inject any interrupt into the host",
                    "Linux vfio_iommu_type1.c allow_unsafe_interrupts"));
        }
        if (evidence.functions().isEmpty() && !evidence.units().isEmpty()) {
            hints.add(new Reason(
                    "which unit has a device: readlink /sys/bus/pci/devices/BDF/iommu; the first unit is often that "
                            + "of the"
                            + " integrated graphics alone and says nothing about the others",
                    "Linux iommu_device_link"));
        }
        return hints;
    }

    /** Without a table nobody knows whose units the host has, if any: every vendor's parameters count. */
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
        return List.of(new Reason(
                "look into /sys/firmware/acpi/tables as root: where no table of an IOMMU is there, turn the IOMMU on in"
                        + " firmware setup, if processor and board have one",
                "no ACPI table of a known vendor is among the input"));
    }

    private static List<KernelParameter> parameters(List<HostDescription> hosts) {
        return hosts.stream().flatMap(host -> host.parameters().stream()).toList();
    }

    /** Returns hints about the parameters of an effect that are, or are not, on the command line. */
    private static List<Reason> parameters(
            HostEvidence evidence, List<KernelParameter> parameters, KernelParameter.Effect effect, boolean given) {
        BootOptions options = evidence.bootOptions();
        return parameters.stream()
                .filter(parameter ->
                        parameter.effect() == effect && options.has(parameter.parameter(), parameter.value()) == given)
                .map(parameter -> new Reason(
                        (given ? "take " + parameter + " off the kernel's command line" : "boot with " + parameter)
                                + ": it " + parameter.why().text(),
                        parameter.why().source()))
                .distinct()
                .toList();
    }

    /** Returns what can be done about a group that VFIO does not take: the same for each of its devices. */
    static Reason ofGroup(int group, Collection<PciAddress> bound) {
        return new Reason(
                "of group " + group + " assign " + few(bound) + " to the same guest as well, or unbind from the driver",
                CLAIM);
    }

    /** Returns what can be done about bridges of a group that drivers of the host have: no guest gets a bridge. */
    static Reason ofBridges(int group, Collection<PciAddress> bound) {
        return new Reason("of group " + group + " unbind the bridge " + few(bound) + " from its driver", CLAIM);
    }

    private static String few(Collection<PciAddress> addresses) {
        int more = addresses.size() - SHOWN - 1;
        return addresses.stream().limit(SHOWN + 1).map(PciAddress::toString).collect(Collectors.joining(", "))
                + (more > 0 ? " and " + more + " more" : "");
    }

    /** Returns whether a hint is about who else is in the group, and so depends on what else the guest gets. */
    static boolean isOfGroup(Reason hint) {
        return hint.source().equals(CLAIM);
    }
}
