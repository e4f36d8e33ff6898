// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Subject;

/** What a subject offers beside its traits: most of it is found out by asking the driver. */
final class Offers {
    private static final Map<String, Boolean> LARGE_PAGES = new ConcurrentHashMap<>();

    private Offers() {}

    /** Its pages have several sizes. */
    static boolean largePages(Subject subject) {
        return LARGE_PAGES.computeIfAbsent(
                subject.name(),
                name -> Long.bitCount(new Bench(subject.flat()).domain().pageSizes()) > 1);
    }

    /** Its unit can be told to forget less than everything. */
    static boolean smallInvalidations(Subject subject) {
        return !subject.vendor().equals("minimal");
    }

    /** Its tables have a bit that blocks no-snoop. */
    static boolean snoopBits(Subject subject) {
        return !subject.vendor().equals("minimal");
    }

    /** Its registers have enough bits, and work enough, that mistakes with halves and signs and reads show. */
    static boolean manyRegisters(Subject subject) {
        return !subject.vendor().equals("minimal");
    }

    /** Its vendor knows units that Linux shows. */
    static boolean shownUnits(Subject subject) {
        TreeMap<String, ShownUnit> shown = new TreeMap<>();
        for (TranslationUnitSpec unit : subject.machine().units()) {
            shown.put(unit.name(), new ShownUnit(OptionalLong.of(unit.registerBase()), unit.registers(), Answer.YES));
        }
        return subject.claimant()
                .recognises(new HostFacts(
                        signature -> Optional.empty(), List::of, RegisterValues.UNKNOWN, shown, Map.of()));
    }

    /** Its driver prints lines that its vendor reads. */
    static boolean printedLines(Subject subject) {
        return !Subjects.kernelLines(subject).isEmpty();
    }

    /** Its vendor knows parameters of the kernel's command line. */
    static boolean parameters(Subject subject) {
        return !subject.claimant().kernelParameters().isEmpty();
    }

    /** Its driver has rules that differ from release to release. */
    static boolean rules(Subject subject) {
        return !subject.claimant().releaseRules().isEmpty();
    }

    /** Some functions of its machine are behind no unit. */
    static boolean untranslatedFunctions(Subject subject) {
        return devices(subject).stream().anyMatch(device -> device.translated() == Answer.NO);
    }

    /** Some devices of its machine have several regions. */
    static boolean severalRegions(Subject subject) {
        return devices(subject).stream()
                .anyMatch(device -> device.reservedRegions() != null
                        && device.reservedRegions().size() > 1);
    }

    private static List<DeviceDescription> devices(Subject subject) {
        return subject.claimant()
                .describe(
                        subject.machine().firmware(),
                        subject.build().topology(),
                        RegisterValues.UNKNOWN,
                        subject.release())
                .devices();
    }
}
