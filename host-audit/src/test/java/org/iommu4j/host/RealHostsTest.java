// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the readers make of real machines' files, compared with what other tools made of the same files.
 *
 * <p>The files are not part of the project, see {@link SharedData}. Each test prints how many it compared.
 */
class RealHostsTest {
    @TempDir
    private Path folder;

    private static HostInputs inputs() {
        return HostInputs.withInstalledVendors();
    }

    private static void compared(String what, int count) {
        System.out.println("compared with real machines: " + count + " " + what);
        assertThat(count).as(what).isPositive();
    }

    private static Path beside(Path expected, String suffix) {
        return Path.of(expected.toString().replaceFirst("\\.expected$", suffix));
    }

    /** Columns: address, NoSnoop in words, offset of the capability, Device Control, its bit 11, driver, name. */
    private static List<String[]> functions(Path expected) throws IOException {
        return Files.readAllLines(expected).stream()
                .filter(line -> !line.startsWith("#") && !line.startsWith("bdf\t"))
                .map(line -> line.split("\t", -1))
                .toList();
    }

    @Test
    void everyFileIsReadAndNothingInItContradictsItself() throws IOException {
        int read = 0;
        List<Path> all = new ArrayList<>(SharedData.files("data/machines", ".txt"));
        all.addAll(SharedData.files("data/machines", ".md"));
        all.addAll(SharedData.files("data", ".dat"));
        all.addAll(SharedData.files("linux/captures", ".tar"));
        for (Path file : all) {
            HostEvidence host = inputs().path(file).read();
            assertThat(host.warnings()).as("%s", file).isEmpty();
            assertThat(host.functions().isEmpty()
                            && host.tables().isEmpty()
                            && host.kernelLines().isEmpty())
                    .as("%s says nothing", file)
                    .isFalse();
            read++;
        }
        compared("files of real machines read", read);
    }

    @Test
    void noSnoopAndDeviceControlAreWhatWasPrinted() throws IOException {
        int answers = 0;
        int registers = 0;
        int drivers = 0;
        for (Path expected : SharedData.files("data/machines", ".expected")) {
            if (!Files.isRegularFile(beside(expected, ".txt"))) {
                continue; // of a table
            }
            HostEvidence host = inputs().path(beside(expected, ".txt")).read();
            List<String[]> rows = functions(expected);
            assertThat(host.functions()).as("functions of %s", expected).hasSize(rows.size());
            for (String[] row : rows) {
                FunctionEvidence function =
                        host.function(PciAddress.parse(row[0])).orElseThrow();
                String where = row[0] + " of " + expected.getFileName();
                String bit = row[3].equals("-") ? row[1] : row[4];
                assertThat(function.noSnoopEnabled()).as(where).isEqualTo(answer(bit));
                answers++;
                if (!row[3].equals("-")) {
                    assertThat(function.deviceControl()).as(where).hasValue(Integer.decode(row[3]));
                    assertThat(function.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS))
                            .as(where)
                            .isEqualTo(Integer.decode(row[2]));
                    registers++;
                }
                if (!row[5].equals("-")) {
                    assertThat(function.driver().map(Fact::value)).as(where).contains(row[5]);
                    drivers++;
                }
            }
        }
        compared("functions' Enable No Snoop", answers);
        compared("Device Control registers", registers);
        compared("bound drivers", drivers);
    }

    private static Answer answer(String plusOrMinus) {
        return switch (plusOrMinus) {
            case "+" -> Answer.YES;
            case "-" -> Answer.NO;
            default -> Answer.UNKNOWN;
        };
    }

    /** The same listing with and without its hex: what was put together from text is what the hex has. */
    @Test
    void whatIsPutTogetherFromTextIsWhatTheHexHas() throws IOException {
        int functions = 0;
        int isolation = 0;
        for (Path expected : SharedData.files("data/machines", ".expected")) {
            Path listing = beside(expected, ".txt");
            if (!Files.isRegularFile(listing)) {
                continue;
            }
            List<String> words = Files.readAllLines(listing).stream()
                    .filter(line -> !line.matches("[0-9a-f]{2,3}:( [0-9a-f]{2})+ *"))
                    .toList();
            HostEvidence told = inputs().lspci(Files.write(folder.resolve("words.txt"), words))
                    .read();
            for (FunctionEvidence real : inputs().path(listing).read().functions()) {
                FunctionEvidence made = told.function(real.address()).orElseThrow();
                String where = real.address() + " of " + listing.getFileName();
                if (!real.knowledge().capabilities()
                        || real.reconstructed()
                        || !made.knowledge().capabilities()) {
                    continue;
                }
                assertThat(made.bridge()).as(where).isEqualTo(real.bridge());
                assertThat(made.config().read(0x18, 2)).as("buses of %s", where).isEqualTo(busesOf(real));
                int at = real.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
                assertThat(made.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS))
                        .as(where)
                        .isEqualTo(at);
                if (at != 0) {
                    assertThat(made.config().read(at + 2, 2) & 0xf0)
                            .as("port type of %s", where)
                            .isEqualTo(real.config().read(at + 2, 2) & 0xf0);
                }
                if (real.knowledge().extendedCapabilities() && made.knowledge().extendedCapabilities()) {
                    isolation += sameExtended(real.config(), made.config(), where);
                }
                functions++;
            }
        }
        compared("functions put together from text", functions);
        compared("extended capabilities put together from text", isolation);
    }

    private static int busesOf(FunctionEvidence function) {
        return function.bridge() == Answer.YES ? function.config().read(0x18, 2) : 0;
    }

    private static int sameExtended(ConfigSpace real, ConfigSpace made, String where) {
        int found = 0;
        for (int id : new int[] {
            ConfigSpace.EXTENDED_CAPABILITY_ACS,
            ConfigSpace.EXTENDED_CAPABILITY_ATS,
            ConfigSpace.EXTENDED_CAPABILITY_PRI,
            ConfigSpace.EXTENDED_CAPABILITY_PASID
        }) {
            int at = real.findExtendedCapability(id);
            assertThat(made.findExtendedCapability(id))
                    .as("capability %d of %s", id, where)
                    .isEqualTo(at);
            if (at != 0) {
                found++;
                if (id == ConfigSpace.EXTENDED_CAPABILITY_ACS) {
                    assertThat(made.read(at + 4, 4) & 0x7f007f)
                            .as("ACS of %s", where)
                            .isEqualTo(real.read(at + 4, 4) & 0x7f007f);
                }
            }
        }
        return found;
    }

    @Test
    void registersInKernelLogsAreThoseOfTheCollection() throws IOException {
        int compared = 0;
        for (String line : Files.readAllLines(SharedData.path("data/registers.tsv"))) {
            String[] row = line.split("\t", -1);
            if (!row[0].equals("intel-vtd") || !row[11].startsWith("machines/")) {
                continue;
            }
            Path machine = SharedData.path("data/" + row[11]);
            Path log = machine.resolve("dmesg.txt");
            Path other = machine.resolve("kernel-log.txt");
            HostEvidence host = inputs().path(Files.exists(log) ? log : other).read();
            long base = Long.parseLong(row[3], 16);
            assertThat(host.units().get("dmar" + row[2]).registerBase()).hasValue(base);
            assertThat(host.registers().value("dmar" + row[2], OptionalLong.of(base), "CAP"))
                    .as(line)
                    .hasValue(Long.decode(row[6]));
            assertThat(host.registers().value("dmar" + row[2], OptionalLong.of(base), "ECAP"))
                    .as(line)
                    .hasValue(Long.decode(row[7]));
            compared += 2;
        }
        compared("register values in kernel logs", compared);
    }

    /** Every value of the collection, printed as Linux prints it, is read back. */
    @Test
    void anyRegisterValueThatLinuxPrintsIsReadBack() throws IOException {
        int compared = 0;
        for (String line : Files.readAllLines(SharedData.path("data/registers.tsv"))) {
            String[] row = line.split("\t", -1);
            if (row[0].equals("intel-vtd") && row[6].startsWith("0x") && row[7].startsWith("0x")) {
                String version = row[5].matches("\\d+:\\d+") ? row[5] : "1:0";
                String base = row[3].matches("[0-9a-f]+") ? row[3] : "fed90000";
                HostEvidence host = read("DMAR: dmar7: reg_base_addr " + base + " ver " + version + " cap "
                        + row[6].substring(2) + " ecap " + row[7].substring(2) + "\n");
                long at = Long.parseLong(base, 16);
                assertThat(host.registers().value("dmar7", OptionalLong.of(at), "CAP"))
                        .as(line)
                        .hasValue(Long.parseUnsignedLong(row[6].substring(2), 16));
                assertThat(host.registers().value("dmar7", OptionalLong.of(at), "ECAP"))
                        .as(line)
                        .hasValue(Long.parseUnsignedLong(row[7].substring(2), 16));
                compared += 2;
            } else if (row[0].equals("amd-efr") && row[6].startsWith("0x")) {
                HostEvidence host = read("AMD-Vi: Extended features (" + row[6] + ", 0x0): PPR NX GT IA GA PC\n");
                assertThat(host.registers().value("ivhd0", OptionalLong.of(0), "EFR"))
                        .as(line)
                        .hasValue(Long.parseUnsignedLong(row[6].substring(2), 16));
                compared++;
            }
        }
        compared("register values printed as Linux does", compared);
    }

    private HostEvidence read(String log) throws IOException {
        return inputs().dmesg(Files.writeString(folder.resolve("log.txt"), log)).read();
    }

    /** The disassembler's own copy of each table, read as acpidump text, is the table. */
    @Test
    void tablesAsTextAreTheTablesAsBytes() throws IOException {
        int compared = 0;
        for (Path expected : SharedData.files("data", ".expected")) {
            Path table = beside(expected, ".dat");
            if (!Files.isRegularFile(table)) {
                continue;
            }
            String text = Files.readString(expected);
            int raw = text.indexOf("Raw Table Data");
            assertThat(raw).as("%s", expected).isPositive();
            byte[] bytes = Files.readAllBytes(table);
            String signature = new String(bytes, 0, 4, StandardCharsets.US_ASCII);
            Path dump = Files.writeString(
                    folder.resolve("acpidump.txt"), signature + " @ 0x0000000000000000\n" + text.substring(raw));
            assertThat(inputs().path(dump).read().tables().get(signature))
                    .as("%s", table)
                    .isEqualTo(bytes);
            assertThat(inputs().path(table).read().tables().get(signature))
                    .as("%s", table)
                    .isEqualTo(bytes);
            compared++;
        }
        compared("ACPI tables", compared);
    }

    @Test
    void groupsAreAsManyAsTheListingHas() throws IOException {
        int listings = 0;
        int members = 0;
        Map<String, Integer> groups = new TreeMap<>();
        for (String line : Files.readAllLines(SharedData.path("data/index.tsv"))) {
            Matcher counted =
                    Pattern.compile("^(\\S*iommu_groups\\S*)\t.*groups=(\\d+)").matcher(line);
            if (counted.find()) {
                groups.put(counted.group(1), Integer.parseInt(counted.group(2)));
            }
        }
        for (Map.Entry<String, Integer> listing : groups.entrySet()) {
            HostEvidence host =
                    inputs().path(SharedData.path("data/" + listing.getKey())).read();
            assertThat(host.groups()).as(listing.getKey()).hasSize(listing.getValue());
            for (FunctionEvidence function : host.functions()) {
                assertThat(function.group())
                        .as("%s of %s", function.address(), listing.getKey())
                        .isPresent();
                assertThat(function.vendorId())
                        .as("%s of %s", function.address(), listing.getKey())
                        .isPresent();
                assertThat(function.classCode())
                        .as("%s of %s", function.address(), listing.getKey())
                        .isPresent();
                members++;
            }
            listings++;
        }
        compared("listings of groups", listings);
        compared("members of groups", members);
    }

    @Test
    void theTreeOfATwoSocketServerIsReadWithUnitsAndGroups() throws IOException {
        Path tree = SharedData.path("data/machines/spr-dmar-group-tree/sysfs-iommu-tree.txt");
        HostEvidence host = inputs().path(tree).read();
        Pattern line = Pattern.compile("\\s+Group Device: (\\S+) - .*");
        String unit = "";
        int group = -1;
        int compared = 0;
        for (String text : Files.readAllLines(tree)) {
            if (text.startsWith("IOMMU: ")) {
                unit = text.substring(7);
            } else if (text.startsWith("  IOMMU Group: ")) {
                group = Integer.parseInt(text.substring(15));
            }
            Matcher device = line.matcher(text);
            if (device.matches()) {
                FunctionEvidence function =
                        host.function(PciAddress.parse(device.group(1))).orElseThrow();
                assertThat(function.unit().map(Fact::value)).as(text).contains(unit);
                assertThat(function.group().map(Fact::value)).as(text).contains(group);
                compared++;
            }
        }
        assertThat(host.units()).hasSize(20);
        compared("functions of a tree of units and groups", compared);
    }

    /** sysfs and the kernel log of one boot say the same of groups, registers and interrupts. */
    @Test
    void capturesAgreeWithTheirOwnKernelLog() throws IOException {
        int groups = 0;
        int registers = 0;
        for (Path capture : SharedData.files("linux/captures", ".tar")) {
            CaptureFiles files = CaptureFiles.open(capture);
            Path log = Files.write(
                    folder.resolve("dmesg.txt"), files.bytes("dmesg.txt").orElseThrow());
            HostEvidence host = inputs().capture(capture).read();
            HostEvidence logged = inputs().dmesg(log).read();
            assertThat(logged.iommuInUse()).as("%s", capture).isEqualTo(host.iommuInUse());
            assertThat(logged.kernelRelease().map(Fact::value))
                    .isEqualTo(host.kernelRelease().map(Fact::value));
            assertThat(host.topologyKnown()).as("%s", capture).isTrue();
            for (FunctionEvidence function : host.functions()) {
                Optional<Integer> group = logged.function(function.address())
                        .flatMap(FunctionEvidence::group)
                        .map(Fact::value);
                if (group.isPresent()) {
                    assertThat(function.group().map(Fact::value)).isEqualTo(group);
                    groups++;
                }
            }
            for (UnitEvidence unit : logged.units().values()) {
                if (host.units().get(unit.name()).attributes().isEmpty()) {
                    continue;
                }
                assertThat(host.units().get(unit.name()).registerBase()).isEqualTo(unit.registerBase());
                assertThat(host.units().get(unit.name()).registers().get("ECAP").value())
                        .isEqualTo(unit.registers().get("ECAP").value());
                registers++;
            }
        }
        compared("groups of captures with their own kernel log", groups);
        compared("units of captures with their own kernel log", registers);
    }
}
