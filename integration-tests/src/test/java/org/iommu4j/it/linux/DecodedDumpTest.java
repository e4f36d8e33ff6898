// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.Prot;
import org.iommu4j.it.linux.LinuxDump.Expected;
import org.iommu4j.it.linux.LinuxDump.Mapping;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.workbench.decode.AddressLookup;
import org.iommu4j.workbench.decode.MappingJson;
import org.iommu4j.workbench.decode.TableReaders;
import org.iommu4j.workbench.decode.TableTree;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What {@code iommu4j decode} makes of the tables that Linux left is what others saw there.
 */
class DecodedDumpTest {
    private static final int NO_PASID = TableVisitor.NO_PASID;

    /** How many leaves each Linux had when it was dumped. */
    private static final Map<String, Integer> LEAVES = Map.of("intel-sc1", 12775, "intel-sm-slts", 12776, "amd", 468);

    private static TableReader reader(LinuxDump dump) {
        return TableReaders.choose(dump.name(), MachineFactory.load().providers(), dump.registers(), dump.memory());
    }

    /** The mappings as mappings.tsv has them, and whether each blocks no-snoop. */
    private static final class Rows implements TableVisitor {
        final List<Mapping> mappings = new ArrayList<>();
        final Map<Mapping, Boolean> snoop = new HashMap<>();
        final List<String> problems = new ArrayList<>();
        private PciAddress device = PciAddress.of(0, 0);

        @Override
        public void requester(int requesterId, int pasid, String translation, long root) {
            assertThat(pasid).isEqualTo(NO_PASID);
            device = PciAddress.of(0, requesterId);
        }

        @Override
        public void table(int level, long entryAddress, long entry, long iova) {
            // The rows have mappings only.
        }

        @Override
        public void mapping(
                long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
            String permission = ((prot & Prot.READ) != 0 ? "r" : "") + ((prot & Prot.WRITE) != 0 ? "w" : "");
            Mapping mapping = new Mapping(device, iova, physicalAddress, size, permission, entry, level);
            mappings.add(mapping);
            snoop.put(mapping, snoopForced);
        }

        @Override
        public void problem(String line) {
            problems.add(line);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc1", "intel-sm-slts", "amd"})
    void exactlyTheLeavesThatLinuxMadeAreListed(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TableReader reader = reader(dump);
        Rows rows = new Rows();

        reader.visit(rows);

        assertThat(rows.problems).isEmpty();
        assertThat(Set.copyOf(rows.mappings)).isEqualTo(Set.copyOf(dump.mappings()));
        TableFormat format = name.equals("amd") ? TableFormat.AMD : TableFormat.VTD;
        rows.snoop.forEach((mapping, forced) ->
                assertThat(forced).as("%s", mapping).isEqualTo(format.forcesSnoop(mapping.entry())));
        System.out.printf(
                "%s: %d leaves of mappings.tsv, all listed: %s%n", name, rows.mappings.size(), reader.describe());
        assertThat(rows.mappings).hasSize(LEAVES.get(name));
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc1", "intel-sm-slts", "amd"})
    void everyTranslationThatSomebodyElseSawComesOutTheSame(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TableReader reader = reader(dump);
        dump.checkExpected((row, write) -> grants(reader, row, write));
    }

    private static boolean grants(TableReader reader, Expected row, boolean write) {
        long first =
                reader.translate(row.device().requesterId(), NO_PASID, row.iova(), RequestFlags.readOrWrite(write));
        long last = reader.translate(
                row.device().requesterId(), NO_PASID, row.iova() + 4095, RequestFlags.readOrWrite(write));
        assertThat(Translation.isFault(last)).as("%s", row).isEqualTo(Translation.isFault(first));
        if (Translation.isFault(first)) {
            assertThat(reader.faultReason(Translation.faultCode(first))).isNotBlank();
            return false;
        }
        assertThat(Translation.address(first)).as("%s", row).isEqualTo(row.physicalAddress());
        assertThat(Translation.address(last)).as("%s", row).isEqualTo(row.physicalAddress() + 4095);
        return true;
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc1", "intel-sm-slts", "amd"})
    void anAddressLookedUpHasThePathToItsLeaf(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TableReader reader = reader(dump);
        for (int i = 0; i < dump.mappings().size(); i += 97) {
            Mapping row = dump.mappings().get(i);
            long address = row.iova() + row.size() - 8;
            AddressLookup lookup = new AddressLookup(address);
            reader.visit(row.device().requesterId(), lookup);
            AddressLookup.Entry answer =
                    lookup.answers(reader, row.device().requesterId()).get(0);

            assertThat(answer.mapping()).as("%s", row).isNotNull();
            assertThat(answer.mapping().entry()).as("%s", row).isEqualTo(row.entry());
            assertThat(answer.steps()).as("%s", row).isNotEmpty();
            answer.steps()
                    .forEach(step -> assertThat(dump.load(step.entryAddress())).isEqualTo(step.entry()));
            assertThat(Translation.isFault(answer.read())).as("%s", row).isEqualTo(!row.permits(false));
            assertThat(Translation.isFault(answer.write())).as("%s", row).isEqualTo(!row.permits(true));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc1", "intel-sm-slts", "amd"})
    void theOutputIsTheMappingsAgain(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TableReader reader = reader(dump);
        StringWriter text = new StringWriter();
        MappingJson json = new MappingJson(new PrintWriter(text));
        reader.visit(json);
        json.finish();
        List<Mapping> found = new ArrayList<>();
        for (JsonNode node : JsonMapper.shared().readTree(text.toString())) {
            found.add(new Mapping(
                    PciAddress.parse(node.get("bdf").asString()),
                    Long.decode(node.get("iova").asString()),
                    Long.decode(node.get("pa").asString()),
                    node.get("size").longValue(),
                    node.get("perm").asString(),
                    Long.decode(node.get("pte").asString()),
                    0));
        }
        assertThat(found).hasSameSizeAs(dump.mappings());
        assertThat(Set.copyOf(found))
                .isEqualTo(dump.mappings().stream()
                        .map(DecodedDumpTest::withoutLevel)
                        .collect(Collectors.toSet()));
    }

    private static Mapping withoutLevel(Mapping row) {
        return new Mapping(
                row.device(), row.iova(), row.physicalAddress(), row.size(), row.permission(), row.entry(), 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc1", "intel-sm-slts", "amd"})
    void theTreeFitsAScreen(String name) {
        LinuxDump dump = LinuxDump.read(name);
        StringWriter text = new StringWriter();
        TableTree tree = new TableTree(new PrintWriter(text));
        reader(dump).visit(tree);
        tree.finish(null);
        assertThat(text.toString().lines())
                .isNotEmpty()
                .allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(100));
    }
}
