// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.iommu4j.ReservedRegion;
import org.iommu4j.host.CountedRemark;
import org.iommu4j.host.Fact;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.GroupEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Decides whether VFIO accepts a device, and gives the obstacles.
 *
 * <p>The obstacles of a group are gathered once. Each device of the group reports the first {@value Hints#SHOWN} of one
 * kind, and the number of the others. So time and reports grow with the number of functions and of reserved regions,
 * not with the size of groups.
 */
final class Viability {
    private static final Reason CORE_LOCK =
            new Reason("the kernel does not release its group, EINVAL", "Linux iommu_group require_direct (6.6)");

    private static final String REFUSED = "Linux refused ";
    private static final String UNKNOWN_REGIONS = "no firmware table, no group listing";

    /**
     * What was found about a device or a group.
     *
     * @param answer whether VFIO accepts it with the drivers that are bound now
     * @param withGroup whether VFIO would accept it if no driver were bound to its group
     * @param reasons the obstacles now, or why they are unknown
     */
    record Finding(Answer answer, Answer withGroup, List<Reason> reasons) {}

    /**
     * The obstacles to assigning a device of a group.
     *
     * @param direct DIRECT regions of any of its functions
     * @param unknownRegions the functions whose DIRECT regions are unknown
     * @param bound its functions that a guest could get and that drivers of the host have
     * @param boundBridges its bridges that drivers of the host have
     * @param unknownDrivers its functions whose driver is unknown
     */
    private record Obstacles(
            Few direct,
            Few unknownRegions,
            Map<PciAddress, Reason> bound,
            Map<PciAddress, Reason> boundBridges,
            Map<PciAddress, Reason> unknownDrivers) {
        Obstacles() {
            this(new Few(), new Few(), new LinkedHashMap<>(), new LinkedHashMap<>(), new LinkedHashMap<>());
        }
    }

    private final HostPicture picture;
    private final HostEvidence evidence;
    private final AuditRules rules;
    private final Set<PciAddress> together;

    /** By the first function of a group, or a function without one. */
    private final Map<PciAddress, Obstacles> obstacles = new HashMap<>();

    /** Makes one for devices that are each assigned alone. */
    Viability(HostPicture picture, AuditRules rules) {
        this(picture, rules, Set.of());
    }

    private Viability(HostPicture picture, AuditRules rules, Set<PciAddress> together) {
        this.picture = picture;
        this.evidence = picture.evidence();
        this.rules = rules;
        this.together = together;
    }

    /** Returns one for devices that one virtual machine gets together. */
    Viability ofTogether(Set<PciAddress> devices) {
        return new Viability(picture, rules, devices);
    }

    /** Returns whether a reason is that reserved regions are unknown. */
    static boolean isOfUnknownRegions(Reason reason) {
        return reason.source().equals(UNKNOWN_REGIONS);
    }

    /** Returns whether a reason is that firmware reserves memory for a function of the group. */
    static boolean isOfReservedMemory(Reason reason) {
        return reason.text().contains("mapped one to one") || reason.text().startsWith(REFUSED);
    }

    /** Answers for a device. */
    Finding of(PciAddress address) {
        Verdict verdict = new Verdict();
        FunctionEvidence function = evidence.function(address).orElseThrow();
        if (function.bridge() == Answer.YES) {
            verdict.no("it is a bridge", "Linux vfio_pci_core_register_device: ordinary header only");
        }
        if (isIommu(function)) {
            verdict.no("it is an IOMMU", "its class " + String.format("%04x", PciClasses.IOMMU));
            return verdict.finding();
        }
        if (!address.hasOwnRequesterId()) {
            verdict.no(picture.belowVmd(address));
            return verdict.finding();
        }
        if (evidence.iommuInUse() == Answer.NO) {
            verdict.no(
                    "no IOMMU is in use on this host",
                    evidence.iommuInUseSource().orElse("input"));
            return verdict.finding();
        }
        DeviceDescription description = picture.device(address);
        if (description == null || description.translated() == Answer.UNKNOWN) {
            verdict.unknown(Question.TRANSLATED.open(""), "no firmware table, no iommu link");
        } else if (description.translated() == Answer.NO) {
            verdict.no(
                    "no IOMMU translates for it", description.reasons().get(0).source());
            return verdict.finding();
        }
        HostDescription host = picture.host(address);
        if (host != null && host.refusal() != null) {
            verdict.no(host.refusal());
        }
        Obstacles group = obstacles(address);
        group.direct().report(verdict::no);
        group.unknownRegions().report(verdict::unknown);
        interrupts(description, verdict);
        if (!picture.isGrouped(address)) {
            verdict.unknown(Question.GROUP.open(""), "no group listing, no full configuration space");
        }
        remarks(address, KernelRemark.Kind.NO_GROUP)
                .forEach(remark -> verdict.no(remark.text(), remark.meaning().source()));
        Answer withGroup = verdict.answer;
        remarks(address, KernelRemark.Kind.NOT_VIABLE)
                .forEach(remark -> verdict.no(remark.text(), remark.meaning().source()));
        if (function.driver().filter(driver -> isOfVfio(driver.value())).isEmpty()) {
            remarks(address, KernelRemark.Kind.PROBE_FAILED)
                    .forEach(remark -> verdict.no(
                            remark.text() + ": " + remark.meaning().text(),
                            remark.meaning().source()));
        }
        picture.groupId(address).ifPresent(id -> named(id, verdict));
        if (picture.isGrouped(address)) {
            reportOthers(group.bound(), address, verdict::no);
            reportOthers(group.boundBridges(), address, verdict::no);
            reportOthers(group.unknownDrivers(), address, verdict::unknown);
        }
        return verdict.finding(withGroup);
    }

    private Stream<KernelRemark> remarks(PciAddress address, KernelRemark.Kind kind) {
        return evidence.remarks().stream().map(CountedRemark::remark).filter(remark -> isOf(remark, kind, address));
    }

    private static boolean isOf(KernelRemark remark, KernelRemark.Kind kind, PciAddress address) {
        return remark.kind() == kind && remark.device().filter(address::equals).isPresent();
    }

    /** No input lists the drivers of devices that are not on PCI. */
    private void named(int group, Verdict verdict) {
        GroupEvidence known = evidence.groups().get(group);
        Few few = new Few();
        if (known != null) {
            known.named()
                    .forEach(device -> few.add(new Reason(
                            Question.DRIVER.open(device + " of the same group is unknown"),
                            "Linux's log names no driver")));
        }
        few.report(verdict::unknown);
    }

    /** Answers for a group with the drivers that are bound now, and gives all obstacles. */
    Finding ofGroup(int id, List<PciAddress> members) {
        Obstacles found = new Obstacles();
        members.stream().filter(PciAddress::hasOwnRequesterId).forEach(member -> boundTo(member, found));
        Verdict verdict = new Verdict();
        found.bound().values().forEach(verdict::no);
        found.boundBridges().values().forEach(verdict::no);
        found.unknownDrivers().values().forEach(verdict::unknown);
        named(id, verdict);
        return verdict.finding();
    }

    /**
     * Returns what can be done about the host's drivers that are bound to a device's group. It is the same for each
     * device of the group, and empty where only the device itself has such a driver.
     */
    List<Reason> hints(PciAddress address, int group) {
        if (!picture.isGrouped(address)
                || !address.hasOwnRequesterId()
                || !driversMatter(evidence.function(address).orElseThrow())) {
            return List.of();
        }
        Obstacles found = obstacles(address);
        List<Reason> hints = new ArrayList<>();
        if (found.bound().size() > (found.bound().containsKey(address) ? 1 : 0)) {
            hints.add(Hints.ofGroup(group, found.bound().keySet()));
        }
        if (!found.boundBridges().isEmpty()) {
            hints.add(Hints.ofBridges(group, found.boundBridges().keySet()));
        }
        return hints;
    }

    /** Drivers are irrelevant where no guest can get the function, or Linux uses no IOMMU. */
    private boolean driversMatter(FunctionEvidence function) {
        DeviceDescription description = picture.device(function.address());
        return function.bridge() != Answer.YES
                && !isIommu(function)
                && evidence.iommuInUse() != Answer.NO
                && (description == null || description.translated() != Answer.NO);
    }

    private static boolean isIommu(FunctionEvidence function) {
        return function.classCode().isPresent() && function.classCode().getAsInt() == PciClasses.IOMMU;
    }

    /** Returns the functions that Linux attaches with a device: its group, or itself where the group is unknown. */
    List<PciAddress> members(PciAddress address) {
        return picture.members(address);
    }

    private Obstacles obstacles(PciAddress address) {
        List<PciAddress> members = members(address);
        return obstacles.computeIfAbsent(members.get(0), unused -> gather(members));
    }

    private Obstacles gather(List<PciAddress> members) {
        Obstacles found = new Obstacles();
        for (PciAddress member : members) {
            if (!member.hasOwnRequesterId()) {
                continue; // the VMD's driver made it, and takes it away when it leaves the VMD
            }
            directRegions(member, found);
            if (!together.contains(member)) {
                boundTo(member, found);
            }
        }
        return found;
    }

    /** Reports to a function the reasons of the other functions of its group. */
    private static void reportOthers(Map<PciAddress, Reason> sisters, PciAddress address, Consumer<Reason> to) {
        Few few = new Few();
        for (Map.Entry<PciAddress, Reason> sister : sisters.entrySet()) {
            if (few.isFull()) {
                break;
            }
            if (!sister.getKey().equals(address)) {
                few.add(sister.getValue());
            }
        }
        few.count(sisters.size() - (sisters.containsKey(address) ? 1 : 0));
        few.report(to);
    }

    private void directRegions(PciAddress member, Obstacles found) {
        evidence.remarks().stream()
                .filter(refused -> isOf(refused.remark(), KernelRemark.Kind.REFUSED, member))
                .forEach(refused -> found.direct()
                        .add(new Reason(
                                REFUSED + member + (refused.time().isEmpty() ? "" : " at " + refused.time()) + ": "
                                        + refused.remark().text(),
                                refused.remark().meaning().source())));
        Reason lock = directLock(member);
        if (lock == null || evidence.stated().regionsRelaxed()) {
            return;
        }
        DeviceDescription description = picture.device(member);
        List<ReservedRegion> regions = description == null ? null : description.reservedRegions();
        if (regions == null) {
            regions = linuxRegions(member);
        }
        if (regions == null) {
            regions = identityMaps(member);
        }
        if (regions == null) {
            found.unknownRegions().add(new Reason(Question.REGIONS.open(member + " are unknown"), UNKNOWN_REGIONS));
            return;
        }
        for (ReservedRegion region : regions) {
            if (region.type() == ReservedRegion.Type.DIRECT) {
                found.direct()
                        .add(new Reason(
                                String.format(
                                        "%s needs memory 0x%x to 0x%x mapped one to one (DIRECT reserved region): %s",
                                        member, region.start(), region.end(), lock.text()),
                                lock.source()));
            }
        }
    }

    /** Returns why a device with DIRECT regions is kept from user space, null where it is not. */
    private @Nullable Reason directLock(PciAddress address) {
        if (rules.keepsDirectDevices()) {
            return CORE_LOCK;
        }
        HostDescription host = picture.host(address);
        return host == null ? null : host.directLock();
    }

    /** What the host's own Linux lists for the group. */
    private @Nullable List<ReservedRegion> linuxRegions(PciAddress address) {
        return evidence.function(address)
                .flatMap(FunctionEvidence::group)
                .map(group -> evidence.groups().get(group.value()))
                .flatMap(group -> group.reservedRegions())
                .map(Fact::value)
                .orElse(null);
    }

    /** Old kernels print what they map one to one; for USB and graphics that keeps no device from user space. */
    private @Nullable List<ReservedRegion> identityMaps(PciAddress address) {
        List<ReservedRegion> printed = evidence.stated().identityMaps().get(address);
        FunctionEvidence function = evidence.function(address).orElse(null);
        if (printed == null || function == null || function.classCode().isEmpty()) {
            return null;
        }
        return PciClasses.isRelaxable(function.classCode().getAsInt()) ? List.of() : printed;
    }

    private void interrupts(@Nullable DeviceDescription description, Verdict verdict) {
        Answer hardware = description == null ? Answer.UNKNOWN : description.isolatedInterrupts();
        Answer linux = evidence.interruptRemapping();
        if (evidence.unsafeInterruptsAllowed()) {
            return;
        }
        if (linux == Answer.NO || (linux == Answer.UNKNOWN && hardware == Answer.NO)) {
            verdict.no("interrupts are not remapped", "Linux vfio_iommu_type1_attach_group, EPERM");
        } else if (linux == Answer.UNKNOWN) {
            verdict.unknown(Question.INTERRUPTS.open(""), "the input has no kernel log");
        }
    }

    private void boundTo(PciAddress member, Obstacles found) {
        FunctionEvidence function = evidence.function(member).orElse(null);
        boolean bridge = function != null && function.bridge() == Answer.YES;
        if (function == null || (bridge && !rules.asksBridges())) {
            return;
        }
        Optional<String> driver = function.driver().map(Fact::value);
        if (driver.isEmpty()) {
            found.unknownDrivers()
                    .put(
                            member,
                            new Reason(Question.DRIVER.open(member + " is unknown"), "no driver link, no lspci -k"));
        } else if (!driver.get().isEmpty() && !leavesDmaAlone(driver.get())) {
            (bridge ? found.boundBridges() : found.bound())
                    .put(
                            member,
                            new Reason(
                                    member + " of the same group is bound to " + driver.get(), rules.driverSource()));
        }
    }

    /** Drivers with {@code driver_managed_dma}: a group with them can still be claimed. */
    static boolean leavesDmaAlone(String driver) {
        return isOfVfio(driver) || driver.replace('-', '_').equals("pci_stub") || driver.equals("pcieport");
    }

    /** Returns whether a driver gives devices to VFIO: {@code vfio-pci} and its variants for single devices. */
    static boolean isOfVfio(String driver) {
        return driver.contains("vfio");
    }

    /** Reasons of one kind: the first ones, and how many there are. */
    private static final class Few {
        private final Set<Reason> first = new LinkedHashSet<>();
        private int all;

        boolean isFull() {
            return first.size() == Hints.SHOWN;
        }

        /** Adds a reason unless it is one of the first. */
        void add(Reason reason) {
            if (!first.contains(reason)) {
                all++;
                if (!isFull()) {
                    first.add(reason);
                }
            }
        }

        /** Sets the number of all reasons. */
        void count(int reasons) {
            all = reasons;
        }

        void report(Consumer<Reason> to) {
            String source = "";
            for (Reason reason : first) {
                to.accept(reason);
                source = reason.source();
            }
            if (all > first.size()) {
                to.accept(new Reason("and " + (all - first.size()) + " more of the same group", source));
            }
        }
    }

    private static final class Verdict {
        private Answer answer = Answer.YES;
        private final Set<Reason> against = new LinkedHashSet<>();
        private final Set<Reason> open = new LinkedHashSet<>();

        void no(String text, String source) {
            no(new Reason(text, source));
        }

        void no(Reason reason) {
            answer = Answer.NO;
            against.add(reason);
        }

        void unknown(String text, String source) {
            unknown(new Reason(text, source));
        }

        void unknown(Reason reason) {
            answer = Answers.and(answer, Answer.UNKNOWN);
            open.add(reason);
        }

        /** Ends where drivers are irrelevant. */
        Finding finding() {
            return finding(answer);
        }

        Finding finding(Answer withGroup) {
            return new Finding(answer, withGroup, List.copyOf(answer == Answer.NO ? against : open));
        }
    }
}
