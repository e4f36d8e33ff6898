// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.silicon.Watched.READ;
import static org.iommu4j.tck.silicon.Watched.WRITE;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.device.DeviceId;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.sim.spi.TableReader}, over the tables that the vendor's driver made. */
@NeedsAbility(Ability.TABLE_READER)
public abstract class TableReaderContract {
    private static final Pattern HEX = Pattern.compile("0x([0-9a-f]+)");
    private static final int NO_PASID = TranslationUnit.NO_PASID;

    /** Made by JUnit. */
    protected TableReaderContract() {}

    /** A dump of the first device's unit, and a reader of it. */
    private static final class Dump {
        final SiliconBench silicon;
        final Watched watched;
        final RegisterDump registers;
        final Image image;

        private Dump(SiliconBench silicon, Watched watched) {
            this.silicon = silicon;
            this.watched = watched;
            registers = Image.registers(watched.unit);
            image = new Image(watched.bench.machine());
        }

        /** Dumps tables of the first two devices: single pages, a page that is not for writing, a large page. */
        static Dump of(SiliconBench silicon) {
            Watched watched = Watched.on(silicon);
            IommuDomain domain = watched.map();
            Bench bench = watched.bench;
            for (long size : bench.pageSizes(domain)) {
                if (size > bench.granule() && size < bench.room() / 8 && size <= 1L << 30) {
                    bench.map(domain, large(watched, size), 0, size, 1, Bench.READ_WRITE);
                }
            }
            IommuDomain second = bench.iommu().allocate(domain.type(), bench.second());
            bench.attach(second, bench.second());
            bench.map(second, watched.iova(5), watched.page(17));
            watched.settle();
            return new Dump(silicon, watched);
        }

        private static long large(Watched watched, long size) {
            return (watched.iova(512) + size - 1 & -size) + size;
        }

        TableReader reader() {
            return reader(registers).orElseThrow(() -> new AssertionError("no reader for the unit's own registers"));
        }

        Optional<TableReader> reader(RegisterDump other) {
            return silicon.provider(watched.unit.spec()).reader(other, image);
        }

        Visited visit() {
            Visited visited = new Visited();
            reader().visit(visited);
            return visited;
        }

        Visited visit(int sourceId) {
            Visited visited = new Visited();
            reader().visit(sourceId, visited);
            return visited;
        }

        /** Returns the devices behind the dumped unit that are in a domain. */
        List<DeviceId> devices() {
            List<DeviceId> devices = new ArrayList<>();
            for (IommuDevice device : List.of(watched.bench.device(), watched.bench.second())) {
                if (silicon.unit(device.id()).equals(watched.unit.spec().name())) {
                    devices.add(device.id());
                }
            }
            return devices;
        }
    }

    // Readers.

    @Test
    @Promise("reader-1")
    void theUnitsOwnRegistersHaveAReader(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        assertThat(dump.reader(dump.registers)).isPresent();
        Watched opened = Watched.on(silicon);
        assertThat(silicon.provider(opened.unit.spec())
                        .reader(Image.registers(opened.unit), new Image(opened.bench.machine())))
                .as("a reader for a unit that a driver has just opened")
                .isPresent();
    }

    @Test
    @Promise("reader-1")
    void whatCanBeNoUnitHasNoReader(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        assertThat(dump.reader(new RegisterDump(dump.registers.registerBase(), Map.of())))
                .as("a reader for no registers")
                .isEmpty();
        Map<Integer, Long> ones = new HashMap<>();
        dump.registers.words().keySet().forEach(offset -> ones.put(offset, -1L));
        assertThat(dump.reader(new RegisterDump(dump.registers.registerBase(), ones)))
                .as("a reader for registers that do not answer")
                .isEmpty();
        // The registers of the unit are no other vendor's.
        for (TranslationUnitProvider other : silicon.subject().machines().providers()) {
            if (!other.name().equals(silicon.provider().name())) {
                assertThat(other.reader(dump.registers, dump.image))
                        .as(other.name())
                        .isEmpty();
            }
        }
    }

    @Test
    @Promise("reader-2")
    void aWordThatIsMissingIsNamed(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        int refused = 0;
        for (int offset : dump.registers.words().keySet()) {
            try {
                dump.reader(Image.with(dump.registers, offset, null)).ifPresent(reader -> assertReads(dump, reader));
            } catch (IllegalArgumentException e) {
                refused++;
                assertThat(e.getMessage())
                        .as("the message without the word at 0x%x", offset)
                        .contains("0x" + Integer.toHexString(offset));
            }
        }
        assertThat(refused).as("words without which a reader is refused").isPositive();
    }

    /** Without a word that is not needed, all is as before. */
    private static void assertReads(Dump dump, TableReader reader) {
        Watched watched = dump.watched;
        assertThat(Translation.address(reader.translate(watched.sourceId, NO_PASID, watched.iova(0), READ)))
                .isEqualTo(watched.page(0));
    }

    @Test
    @Promise("reader-2")
    void wordsThatMakeNoSenseAreRefusedOrRead(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Random random = silicon.random();
        List<Integer> offsets = List.copyOf(dump.registers.words().keySet()).stream()
                .filter(offset -> dump.registers.words().get(offset) != 0 || offset < 64)
                .toList();
        for (int i = 0; i < 300; i++) {
            int offset = offsets.get(random.nextInt(offsets.size()));
            long old = dump.registers.words().get(offset);
            long value = switch (random.nextInt(4)) {
                case 0 -> random.nextLong();
                case 1 -> 0;
                case 2 -> -1;
                default -> old ^ 1L << random.nextInt(64);
            };
            RegisterDump other = Image.with(dump.registers, offset, value);
            silicon.steps().note("0x%x at 0x%x", value, offset);
            try {
                dump.reader(other).ifPresent(reader -> {
                    reader.translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(0), READ);
                    reader.visit(dump.watched.sourceId, new Visited());
                });
            } catch (IllegalArgumentException e) {
                assertThat(e).hasMessageMatching("(?s).*\\S.*");
            }
        }
        assertThat(dump.image.written).isEmpty();
    }

    // Reading.

    @Test
    @Promise("tables-1")
    void theImageStaysAsItIs(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        long before = dump.watched.bench.machine().digest();
        TableReader reader = dump.reader();
        reader.describe();
        reader.visit(new Visited());
        reader.visit(dump.watched.sourceId, new Visited());
        for (int page = 0; page < 50; page++) {
            reader.translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(page), READ);
            reader.translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(page), WRITE);
        }
        reader.translate(dump.watched.sourceId, 3, dump.watched.iova(0), READ);
        reader.faultReason(1);
        assertThat(dump.image.written).as("writes to the image").isEmpty();
        assertThat(dump.watched.bench.machine().digest()).as("the machine").isEqualTo(before);
    }

    @Test
    @Promise({"tables-2", "tables-3"})
    void damagedTablesAreReportedAndNothingIsThrown(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        dump.visit(dump.watched.sourceId);
        dump.reader().translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(0), READ);
        List<Long> words = dump.image.words();
        assertThat(words).as("words of tables").isNotEmpty();
        Random random = silicon.random();
        int problems = 0;
        for (int i = 0; i < 120; i++) {
            dump.image.restore();
            for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
                long at = words.get(random.nextInt(words.size()));
                long other = dump.image.read.get(words.get(random.nextInt(words.size())));
                long value = switch (random.nextInt(4)) {
                    case 0 -> random.nextLong();
                    case 1 -> dump.image.read.get(at) ^ 1L << random.nextInt(64);
                    case 2 -> -1;
                    default -> other;
                };
                silicon.steps().note("0x%x at 0x%x", value, at);
                dump.image.put(at, value);
            }
            Visited visited = dump.visit(dump.watched.sourceId);
            assertThat(visited.problems).allMatch(line -> !line.isBlank());
            problems += visited.problems.size();
            TableReader reader = dump.reader();
            for (int page = 0; page < 6; page++) {
                long answer = reader.translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(page), READ);
                if (Translation.isFault(answer)) {
                    assertThat(reader.faultReason(Translation.faultCode(answer)))
                            .isNotBlank();
                }
            }
        }
        assertThat(problems).as("problems that were reported").isPositive();
        assertThat(dump.image.written).isEmpty();
    }

    @Test
    @Promise({"tables-2", "tables-3"})
    void memoryThatEndsAnywhereIsReported(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Visited whole = dump.visit();
        List<Long> words = new ArrayList<>(dump.image.words());
        TableReader reader = dump.reader();
        Collections.sort(words);
        for (int i = 0; i < words.size(); i += Math.max(1, words.size() / 12)) {
            dump.image.cut(words.get(i) & -4096L);
            Visited visited = new Visited();
            reader.visit(visited);
            reader.translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(0), READ);
            int mappings = mappings(visited);
            assertThat(visited.problems.isEmpty() && mappings == mappings(whole))
                    .as("all is as it was without the memory from 0x%x on", words.get(i))
                    .isFalse();
        }
    }

    private static int mappings(Visited visited) {
        return visited.requesters.stream()
                .mapToInt(requester -> requester.mappings().size())
                .sum();
    }

    @Test
    @Promise({"tables-3", "tables-2"})
    void aTableInsideItselfIsNamedOnceAndAVisitEnds(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Visited whole = dump.visit(dump.watched.sourceId);
        assertThat(whole.problems).isEmpty();
        int damaged = 0;
        for (Visited.Table above : whole.tables) {
            for (Visited.Table below : whole.tables) {
                if (below.level() < above.level()) {
                    // The entry below leads to its own table again, or to one above it.
                    dump.image.restore();
                    dump.image.put(below.entryAddress(), above.entry());
                    Visited visited = dump.visit(dump.watched.sourceId);
                    assertThat(visited.problems)
                            .as("problems of a loop")
                            .isNotEmpty()
                            .doesNotHaveDuplicates();
                    assertThat(mappings(visited)).isLessThan(100_000);
                    dump.reader().translate(dump.watched.sourceId, NO_PASID, dump.watched.iova(0), READ);
                    damaged++;
                }
            }
        }
        assertThat(damaged).as("loops").isPositive();
    }

    @Test
    @Promise("tables-3")
    void aTableInTwoPlacesIsListedInEach(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Visited whole = dump.visit(dump.watched.sourceId);
        int lowest = whole.tables.stream().mapToInt(Visited.Table::level).min().orElseThrow();
        Visited.Table last = whole.tables.stream()
                .filter(table -> table.level() == lowest)
                .findFirst()
                .orElseThrow();
        int before = mappings(whole);
        // The next free entry of the same table leads to the same table.
        long next = last.entryAddress() + 8;
        while (dump.image.read(next, true) != 0) {
            next += 8;
        }
        long second = next;
        dump.image.put(next, last.entry());
        Visited visited = dump.visit(dump.watched.sourceId);
        long below = visited.tables.stream()
                .filter(table -> table.entryAddress() == second)
                .count();
        assertThat(below).as("the table is listed at its second place").isEqualTo(1);
        assertThat(mappings(visited)).as("mappings").isGreaterThan(before);
        dump.image.restore();
    }

    @Test
    @Promise("tables-describe-1")
    void aUnitIsDescribedInOneLine(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        String line = dump.reader().describe();
        assertThat(line).isNotBlank().doesNotContain("\n").doesNotContain("\r");
        dump.visit();
        Set<Long> pages = new HashSet<>();
        dump.image.read.keySet().forEach(address -> pages.add(address & -4096L));
        List<Long> numbers = HEX.matcher(line)
                .results()
                .map(MatchResult::group)
                .map(hex -> Long.parseUnsignedLong(hex.substring(2), 16))
                .toList();
        assertThat(numbers)
                .as("'%s' has the address of a table that is read", line)
                .anyMatch(number -> number != 0 && pages.contains(number & -4096L));
        assertThat(dump.reader().describe()).as("asked again").isEqualTo(line);
    }

    // Visits.

    @Test
    @Promise("tables-visit-1")
    void requestersAreVisitedInAscendingOrderWithAllThatIsMapped(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Visited visited = dump.visit();
        assertThat(visited.problems).isEmpty();
        Visited.Requester last = null;
        for (Visited.Requester requester : visited.requesters) {
            assertThat(requester.translation()).isNotBlank();
            if (last != null) {
                int order = Integer.compareUnsigned(last.sourceId(), requester.sourceId());
                assertThat(order < 0 || (order == 0 && last.pasid() < requester.pasid()))
                        .as("0x%x, PASID %d", requester.sourceId(), requester.pasid())
                        .isTrue();
            }
            long end = 0;
            for (Visited.Mapping mapping : requester.mappings()) {
                assertThat(Long.compareUnsigned(mapping.iova(), end))
                        .as("%s is after 0x%x", mapping, end)
                        .isNotNegative();
                end = mapping.iova() + mapping.size();
            }
            last = requester;
        }
        assertMapped(dump, visited, dump.watched.sourceId);
        for (DeviceId device : dump.devices()) {
            assertThat(visited.requesters)
                    .extracting(Visited.Requester::sourceId)
                    .as("requesters with an entry")
                    .contains(silicon.sourceId(device));
        }
    }

    /** Asserts that a visit tells what {@link Watched#map} mapped, page by page. */
    private static void assertMapped(Dump dump, Visited visited, int sourceId) {
        List<Visited.Requester> found = visited.requesters.stream()
                .filter(requester -> requester.sourceId() == sourceId && requester.pasid() == NO_PASID)
                .toList();
        assertThat(found).as("visits of the first device").hasSize(1);
        List<Visited.Mapping> mappings = found.get(0).mappings();
        Watched watched = dump.watched;
        for (int page = 0; page < Watched.PAGES; page++) {
            assertMapping(mappings, watched.iova(page), watched.page(page), Prot.READ | Prot.WRITE);
        }
        assertMapping(mappings, watched.iova(Watched.readOnly()), watched.page(Watched.readOnly()), Prot.READ);
        for (int page : new int[] {Watched.PAGES, 40}) {
            long iova = watched.iova(page);
            assertThat(mappings.stream()
                            .filter(each -> each.iova() <= iova && iova < each.iova() + each.size())
                            .toList())
                    .isEmpty();
        }
    }

    private static void assertMapping(List<Visited.Mapping> mappings, long iova, long physical, int prot) {
        List<Visited.Mapping> covering = mappings.stream()
                .filter(mapping -> mapping.iova() <= iova && iova < mapping.iova() + mapping.size())
                .toList();
        assertThat(covering).as("mappings of 0x%x", iova).hasSize(1);
        Visited.Mapping mapping = covering.get(0);
        assertThat(mapping.physicalAddress() + (iova - mapping.iova()))
                .as("%s", mapping)
                .isEqualTo(physical);
        assertThat(mapping.prot()).as("%s", mapping).isEqualTo(prot);
    }

    @Test
    @Promise("tables-visit-2")
    void oneRequesterIsVisitedAsAmongAll(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Visited all = dump.visit();
        Set<Integer> ids = new HashSet<>();
        all.requesters.forEach(requester -> ids.add(requester.sourceId()));
        for (DeviceId device : dump.devices()) {
            int sourceId = silicon.sourceId(device);
            assertThat(dump.visit(sourceId).requesters)
                    .isNotEmpty()
                    .isEqualTo(all.requesters.stream()
                            .filter(requester -> requester.sourceId() == sourceId)
                            .toList());
        }
        int none = 0;
        for (int sourceId : new int[] {0, 1, 0x1234, 0xfff8, 0xffff, 0x10000 + dump.watched.sourceId, -1}) {
            if (!ids.contains(sourceId)) {
                Visited visited = dump.visit(sourceId);
                assertThat(visited.requesters).as("requester 0x%x", sourceId).isEmpty();
                assertThat(visited.tables).isEmpty();
                assertThat(visited.problems).isEmpty();
                none++;
            }
        }
        assertThat(none).as("requesters without an entry").isPositive();
    }

    // Translations.

    @Test
    @Promise("tables-translate-1")
    void aReaderTranslatesAsTheUnitDoes(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Watched watched = dump.watched;
        Random random = silicon.random();
        TableReader reader = dump.reader();
        List<Integer> ids = new ArrayList<>();
        dump.devices().forEach(device -> ids.add(silicon.sourceId(device)));
        for (int i = 0; i < 600; i++) {
            int sourceId = random.nextInt(8) == 0 ? random.nextInt(1 << 16) : ids.get(random.nextInt(ids.size()));
            int pasid = random.nextInt(6) == 0 ? random.nextInt(1 << 16) : NO_PASID;
            long address = switch (random.nextInt(4)) {
                case 0 -> random.nextLong() >>> random.nextInt(64);
                case 1 -> watched.iova(0) + (random.nextLong() >>> 33);
                default -> watched.iova(random.nextInt(10)) + random.nextInt((int) watched.bench.granule());
            };
            int flags = random.nextBoolean() ? READ : WRITE;
            silicon.steps().note("translate(0x%x, %d, 0x%x, %d)", sourceId, pasid, address, flags);
            assertThat(Translation.toString(reader.translate(sourceId, pasid, address, flags)))
                    .as("the reader's answer, as the unit's")
                    .isEqualTo(Translation.toString(watched.unit.translate(sourceId, pasid, address, flags)));
        }
    }

    @Test
    @Promise("tables-translate-1")
    void aReaderTranslatesAsItsVisitsTell(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        TableReader reader = dump.reader();
        int mappings = 0;
        for (Visited.Requester requester : dump.visit().requesters) {
            for (Visited.Mapping mapping : requester.mappings()) {
                for (long at : new long[] {0, mapping.size() / 2, mapping.size() - 1}) {
                    for (int flags : new int[] {READ, WRITE}) {
                        boolean right = (mapping.prot() & (flags == READ ? Prot.READ : Prot.WRITE)) != 0;
                        long answer =
                                reader.translate(requester.sourceId(), requester.pasid(), mapping.iova() + at, flags);
                        assertThat(Translation.isFault(answer))
                                .as("%s", mapping)
                                .isEqualTo(!right);
                        if (right) {
                            assertThat(Translation.address(answer)).isEqualTo(mapping.physicalAddress() + at);
                            assertThat(Translation.snoopForced(answer)).isEqualTo(mapping.snoopForced());
                        }
                    }
                }
                mappings++;
            }
        }
        assertThat(mappings).as("mappings").isGreaterThan(Watched.PAGES);
    }

    @Test
    @Promise("tables-fault-1")
    void everyFaultHasAMeaning(SiliconBench silicon) {
        Dump dump = Dump.of(silicon);
        Watched watched = dump.watched;
        TableReader reader = dump.reader();
        for (int code = 0; code < 256; code++) {
            assertThat(reader.faultReason(code))
                    .as("code 0x%x", code)
                    .isNotBlank()
                    .doesNotContain("\n");
        }
        Map<Integer, String> meanings = new HashMap<>();
        for (int sourceId : new int[] {watched.sourceId, 0xfff8}) {
            for (long address : new long[] {watched.iova(40), watched.iova(Watched.readOnly()), -8L}) {
                long answer = reader.translate(sourceId, NO_PASID, address, WRITE);
                if (Translation.isFault(answer)) {
                    int code = Translation.faultCode(answer);
                    meanings.put(code, reader.faultReason(code));
                }
            }
        }
        assertThat(meanings).isNotEmpty();
        assertThat(meanings.values()).as("meanings of different codes").doesNotHaveDuplicates();
        Set<String> all = new HashSet<>();
        for (int code = 0; code < 256; code++) {
            all.add(reader.faultReason(code).replaceAll("0x[0-9a-f]+|[0-9]+", "?"));
        }
        assertThat(all).as("meanings").hasSizeGreaterThan(2);
    }
}
