// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/**
 * Answers for a kernel whose number does not say which release's rules hold: an enterprise distribution's, or
 * Android's.
 *
 * <p>Such a host is audited under each set of rules that may hold there. An answer on which all agree stands; any other
 * is unknown. Releases with equal rules, as far as an audit asks, are one set, so that there are few.
 */
final class VendorKernel {
    /**
     * The rules that an audit asks.
     *
     * @param hosts of each vendor what depends on the release
     */
    private record RuleSet(boolean asksDevices, boolean asksBridges, boolean keepsDirectDevices, List<Rules> hosts) {}

    /** What of a vendor's description depends on the release. */
    private record Rules(
            String vendor,
            CoherencyRule rule,
            List<Answer> blocking,
            List<KernelParameter> parameters,
            @Nullable Reason directLock,
            @Nullable Reason refusal) {
        static Rules of(HostDescription host) {
            return new Rules(
                    host.vendor(),
                    host.rule(),
                    host.units().stream()
                            .map(unit -> unit.abilities().blocksNoSnoop())
                            .toList(),
                    host.parameters(),
                    host.directLock(),
                    host.refusal());
        }
    }

    private final LinuxRelease kernel;
    private final List<Audit> audits;
    private final @Nullable String noRule;
    private boolean differ;

    private VendorKernel(LinuxRelease kernel, List<Audit> audits) {
        this.kernel = kernel;
        this.audits = audits;
        List<String> rules = audits.stream()
                .map(Audit::rule)
                .filter(Objects::nonNull)
                .map(CoherencyRule::name)
                .distinct()
                .toList();
        this.noRule = rules.size() < 2
                        && audits.stream().map(Audit::rule).distinct().count() < 2
                ? null
                : "the number of a vendor's kernel does not say which of these holds: " + String.join(", ", rules);
    }

    /** Returns one release of each set of rules that may hold in a kernel, oldest first. */
    static List<LinuxRelease> ruleSets(LinuxRelease kernel, HostEvidence evidence, IommuVendors vendors) {
        Map<RuleSet, LinuxRelease> sets = new LinkedHashMap<>();
        for (LinuxRelease release : kernel.mayHold()) {
            LinuxRelease base = release.base();
            AuditRules rules = AuditRules.of(base, null);
            List<Rules> hosts = HostPicture.ofUnits(evidence, vendors, base).stream()
                    .map(Rules::of)
                    .toList();
            sets.putIfAbsent(
                    new RuleSet(rules.asksDevices(), rules.asksBridges(), rules.keepsDirectDevices(), hosts), base);
        }
        return List.copyOf(sets.values());
    }

    /**
     * Merges the audits of one host under each set of rules.
     *
     * @param audits oldest rules first, at least one
     */
    static Audit merge(LinuxRelease kernel, List<Audit> audits) {
        return new VendorKernel(kernel, audits).merge();
    }

    private Audit merge() {
        Audit first = audits.get(0);
        List<AuditedUnit> units = new ArrayList<>();
        for (int i = 0; i < first.units().size(); i++) {
            units.add(unit(at(Audit::units, i)));
        }
        List<AuditedDevice> devices = new ArrayList<>();
        for (int i = 0; i < first.devices().size(); i++) {
            devices.add(device(at(Audit::devices, i)));
        }
        List<AuditedGroup> groups = new ArrayList<>();
        for (int i = 0; i < first.groups().size(); i++) {
            groups.add(group(at(Audit::groups, i)));
        }
        Assignment asked = first.assignment() == null
                ? null
                : assignment(audits.stream()
                        .map(audit -> Objects.requireNonNull(audit.assignment()))
                        .toList());
        Set<String> warnings = new LinkedHashSet<>(common(audits, Audit::warnings));
        if (differ) {
            warnings.add("Linux " + kernel + " is a vendor's kernel, whose drivers may be those of any release from "
                    + kernel.mayHold().get(0) + " to " + LinuxRelease.NEWEST
                    + ": answers on which their rules differ are unknown; --linux chooses a release");
        }
        Set<Reason> promises = new LinkedHashSet<>();
        audits.forEach(audit -> promises.addAll(audit.falsePromises()));
        return new Audit(
                first.host(),
                kernel,
                first.hostLinux(),
                noRule == null ? first.rule() : null,
                noRule,
                first.vendors(),
                first.iommuInUse(),
                first.interruptRemapping(),
                units,
                devices,
                groups,
                asked,
                List.copyOf(promises),
                first.contradictions(),
                same(audits, Audit::cost) ? first.cost() : firstPart(first.cost()) + "; more depends on the release",
                first.remarks(),
                common(audits, Audit::hints),
                List.copyOf(warnings));
    }

    private static String firstPart(String cost) {
        int end = cost.indexOf(';');
        return end < 0 ? cost : cost.substring(0, end);
    }

    private <T> List<T> at(Function<Audit, List<T>> list, int index) {
        return audits.stream().map(audit -> list.apply(audit).get(index)).toList();
    }

    /** Units are the same under all rules, but for what some drivers can only do in later releases. */
    private AuditedUnit unit(List<AuditedUnit> each) {
        AuditedUnit first = each.get(0);
        UnitDescription its = first.description();
        Answer blocks = answer(each, unit -> unit.description().abilities().blocksNoSnoop());
        return new AuditedUnit(
                first.vendor(),
                first.rule(),
                new UnitDescription(
                        its.id(),
                        its.segment(),
                        its.registerBase(),
                        its.includeAll(),
                        its.scope(),
                        its.abilities().blockingNoSnoop(blocks),
                        its.registers(),
                        its.fields()),
                answer(each, AuditedUnit::enforces),
                first.devices());
    }

    private AuditedDevice device(List<AuditedDevice> each) {
        AuditedDevice first = each.get(0);
        Answer enforced = answer(each, AuditedDevice::enforceCacheCoherency);
        List<Reason> why = new ArrayList<>(common(each, AuditedDevice::why));
        if (!same(each, AuditedDevice::enforceCacheCoherency)) {
            why.add(0, undecided());
        }
        return new DeviceDraft(first)
                .translated(answer(each, AuditedDevice::translated))
                .enforceCacheCoherency(enforced)
                .reservedRegions(same(each, AuditedDevice::reservedRegions) ? first.reservedRegions() : null)
                .assignable(
                        answer(each, AuditedDevice::assignable),
                        answer(each, AuditedDevice::assignableWithGroup),
                        obstacles(each, AuditedDevice::assignable, AuditedDevice::obstacles))
                .guest(guest(each, AuditedDevice::guest), why)
                .hints(common(each, AuditedDevice::hints))
                .build();
    }

    private AuditedGroup group(List<AuditedGroup> each) {
        AuditedGroup first = each.get(0);
        return new AuditedGroup(
                first.id(),
                first.devices(),
                first.named(),
                first.together(),
                first.doubt(),
                answer(each, AuditedGroup::viable),
                obstacles(each, AuditedGroup::viable, AuditedGroup::blame),
                guest(each, AuditedGroup::guest),
                common(each, AuditedGroup::noncoherent));
    }

    private Assignment assignment(List<Assignment> each) {
        Assignment first = each.get(0);
        Map<PciAddress, List<Step>> paths = new LinkedHashMap<>();
        for (PciAddress device : first.devices()) {
            List<Step> steps = new ArrayList<>();
            for (int i = 0; i < steps(first, device).size(); i++) {
                int at = i;
                steps.add(step(
                        each.stream().map(asked -> steps(asked, device).get(at)).toList()));
            }
            paths.put(device, steps);
        }
        return new Assignment(
                first.devices(),
                answer(each, Assignment::assignable),
                obstacles(each, Assignment::assignable, Assignment::obstacles),
                answer(each, Assignment::dmaCcIommu),
                guest(each, Assignment::guest),
                common(each, Assignment::noncoherent),
                paths,
                common(each, Assignment::hints));
    }

    private static List<Step> steps(Assignment asked, PciAddress device) {
        return Objects.requireNonNull(asked.paths().get(device), "each assigned device has a path");
    }

    private static Step step(List<Step> each) {
        Step first = each.get(0);
        boolean ofGuest = first.what().equals("guest");
        return new Step(
                first.what(),
                same(each, Step::answer) ? first.answer() : ofGuest ? Guest.UNKNOWN.name() : "unknown",
                each.stream().map(Step::source).distinct().collect(Collectors.joining("; or ")));
    }

    private Reason undecided() {
        return new Reason(
                noRule == null ? "the number of a vendor's kernel does not say which rules hold" : noRule,
                "Linux " + kernel);
    }

    /** What stands against it under every set of rules, else why that is not known. */
    private <T> List<Reason> obstacles(
            List<T> each, Function<T, Answer> answer, Function<T, ? extends Collection<Reason>> reasons) {
        if (same(each, answer)) {
            return List.copyOf(reasons.apply(each.get(0)));
        }
        Set<Reason> all = new LinkedHashSet<>(List.of(undecided()));
        each.forEach(one -> all.addAll(reasons.apply(one)));
        return List.copyOf(all);
    }

    private <T> Answer answer(List<T> each, Function<T, Answer> of) {
        boolean agreed = same(each, of);
        differ |= !agreed;
        return agreed ? of.apply(each.get(0)) : Answer.UNKNOWN;
    }

    private <T> Guest guest(List<T> each, Function<T, Guest> of) {
        boolean agreed = same(each, of);
        differ |= !agreed;
        return agreed ? of.apply(each.get(0)) : Guest.UNKNOWN;
    }

    private static <T> boolean same(List<T> each, Function<T, ?> of) {
        Object first = of.apply(each.get(0));
        return each.stream().allMatch(one -> Objects.equals(of.apply(one), first));
    }

    private static <T, E> List<E> common(List<T> each, Function<T, ? extends Collection<E>> of) {
        Set<E> kept = new LinkedHashSet<>(of.apply(each.get(0)));
        each.forEach(one -> kept.retainAll(Set.copyOf(of.apply(one))));
        return List.copyOf(kept);
    }
}
