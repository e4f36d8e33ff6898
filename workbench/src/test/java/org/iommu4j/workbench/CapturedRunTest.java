// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code iommu4j run --host}: a host as it is decides what applies to it, its modules' parameters included. */
class CapturedRunTest {
    private static final String UNSAFE = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
    private static final String BOOT = "Linux version 6.18.0-1-amd64 (x@y) #1\nDMAR: IOMMU enabled\n";
    private static final String REMAPPED = "DMAR-IR: Enabled IRQ remapping in x2apic mode\n";
    private static final String DONE =
            "DMAR: Intel(R) Virtualization Technology for Directed I/O\nRun /init as init process\n";

    @TempDir
    private Path host = Path.of("");

    private final StringWriter err = new StringWriter();

    @BeforeEach
    void aHostLikeTheBuiltInMachineWithSnoopControl() throws IOException {
        MachineDescription machine = MachineFactory.load().named("intel-sc");
        for (FunctionDescription function : machine.functions()) {
            String path = path(machine, function);
            Files.write(file(path + "/config"), function.config());
            link("sys/bus/pci/devices/" + function.address(), "../../../../" + path);
        }
        Files.write(file("sys/firmware/acpi/tables/DMAR"), machine.acpiTables().get("DMAR"));
        write("dmesg.txt", BOOT + REMAPPED + DONE);
        unit("dmar0");
    }

    private void unit(String name) throws IOException {
        MachineDescription machine = MachineFactory.load().named("intel-sc");
        String attributes = "sys/devices/virtual/iommu/" + name + "/intel-iommu/";
        Map.of(
                        "address",
                        "fed90000",
                        "version",
                        "1:0",
                        "cap",
                        Long.toHexString(VtdUnitProvider.CAP_4_LEVEL),
                        "ecap",
                        Long.toHexString(VtdUnitProvider.ECAP_SNOOP_CONTROL))
                .forEach((attribute, value) -> {
                    try {
                        write(attributes + attribute, value + "\n");
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                });
        link("sys/class/iommu/" + name, "../../devices/virtual/iommu/" + name);
        for (FunctionDescription function : machine.functions()) {
            String path = path(machine, function);
            link(path + "/iommu", host.relativize(host.resolve("sys/devices/virtual/iommu/" + name)), path);
        }
    }

    private static String path(MachineDescription machine, FunctionDescription function) {
        StringBuilder path = new StringBuilder(function.address().toString());
        for (PciAddress bridge = function.upstreamBridge().orElse(null); bridge != null; ) {
            PciAddress above = bridge;
            path.insert(0, above + "/");
            bridge = machine.functions().stream()
                    .filter(other -> other.address().equals(above))
                    .findFirst()
                    .flatMap(FunctionDescription::upstreamBridge)
                    .orElse(null);
        }
        return path.insert(0, "sys/devices/pci0000:00/").toString();
    }

    private Path file(String path) throws IOException {
        Path file = host.resolve(path);
        Files.createDirectories(file.getParent());
        return file;
    }

    private void write(String path, String text) throws IOException {
        Files.writeString(file(path), text);
    }

    private void link(String path, String target) throws IOException {
        Files.createSymbolicLink(file(path), Path.of(target));
    }

    private void link(String path, Path target, String from) throws IOException {
        Files.createSymbolicLink(file(path), Path.of(from).relativize(target));
    }

    private int execute(StringWriter out, String... more) {
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        List<String> words = new ArrayList<>(List.of("run", "guest-no-snoop", "--host", host.toString()));
        words.addAll(List.of(more));
        return commandLine.execute(words.toArray(String[]::new));
    }

    private JsonNode run(String... more) {
        StringWriter out = new StringWriter();
        List<String> words = new ArrayList<>(List.of("--device", BuiltInTopology.GPU.toString(), "--format", "json"));
        words.addAll(List.of(more));
        assertThat(execute(out, words.toArray(String[]::new))).as("%s", err).isZero();
        return JsonMapper.shared().readTree(out.toString());
    }

    @Test
    void aDeviceWhoseInterruptsAreRemappedIsAssigned() {
        JsonNode json = run();
        assertThat(json.get("verdict").asString()).isEqualTo("COHERENT");
        assertThat(json.get("reason").isNull()).isTrue();
        assertThat(json.at("/decision/enforceCacheCoherency").asString()).isEqualTo("ENFORCED");
    }

    @Test
    void withoutInterruptRemappingVfioRefusesItUnlessAskedNotTo() throws IOException {
        write("dmesg.txt", BOOT + DONE);
        assertThat(run().get("errno").asString()).isEqualTo("EPERM");
        assertThat(run("--allow-unsafe-interrupts").get("verdict").asString()).isEqualTo("COHERENT");
    }

    @Test
    void theHostsOwnModuleParameterCounts() throws IOException {
        write("dmesg.txt", BOOT + DONE);
        write(UNSAFE, "Y\n");
        assertThat(run().get("verdict").asString()).isEqualTo("COHERENT");
        write(UNSAFE, "N\n");
        assertThat(run().get("errno").asString()).isEqualTo("EPERM");
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "y"})
    void theHostsCommandLineCountsUnlessTheModuleSaysOtherwise(String yes) throws IOException {
        write("dmesg.txt", BOOT + DONE);
        write("proc/cmdline", "quiet vfio_iommu_type1.allow_unsafe_interrupts=" + yes + "\n");
        assertThat(run().get("verdict").asString()).isEqualTo("COHERENT");
        write(UNSAFE, "N\n");
        assertThat(run().get("errno").asString()).isEqualTo("EPERM");
    }

    @Test
    void onAHostWithoutAnIommuInUseNothingApplies() throws IOException {
        Files.delete(host.resolve("sys/class/iommu/dmar0"));
        write("dmesg.txt", "Linux version 6.18.0-1-amd64 (x@y) #1\n");
        Files.createDirectories(host.resolve("sys/kernel/iommu_groups"));
        JsonNode json = run();
        assertThat(json.get("verdict").asString()).isEqualTo("NOT_APPLICABLE");
        assertThat(json.get("reason").asString()).isEqualTo("MACHINE_LACKS");
        assertThat(json.get("refusal").asString()).contains("no IOMMU is in use on this host");
        assertThat(json.get("decision").isNull()).isTrue();
        assertThat(json.at("/machine/vendor").isNull()).isTrue();
    }

    @Test
    void aCaptureThatDoesNotTellWhetherAnIommuIsInUseIsNoInput() throws IOException {
        Files.delete(host.resolve("sys/class/iommu/dmar0"));
        Files.delete(host.resolve("dmesg.txt"));
        assertThat(execute(new StringWriter(), "--device", BuiltInTopology.GPU.toString()))
                .isEqualTo(2);
        assertThat(err.toString().lines()).singleElement().asString().startsWith("iommu4j: ");
    }

    @Test
    void onAHostWithAUnitOfNoKnownVendorNothingApplies() throws IOException {
        write("sys/devices/virtual/iommu/smmu3/arm-smmu/idr", "1\n");
        link("sys/class/iommu/smmu3", "../../devices/virtual/iommu/smmu3");
        JsonNode json = run();
        assertThat(json.get("verdict").asString()).isEqualTo("NOT_APPLICABLE");
        assertThat(json.get("reason").asString()).isEqualTo("NO_DRIVER");
        assertThat(json.get("refusal").asString()).contains("smmu3").contains("of no known vendor");
    }

    /** The unit's name is the capture's, and so not to be trusted. */
    @Test
    void aReasonIsPrintedWithoutControlCharacters() throws IOException {
        write("sys/devices/virtual/iommu/smmu3/arm-smmu/idr", "1\n");
        link("sys/class/iommu/smmu\u001b[2J", "../../devices/virtual/iommu/smmu3");
        StringWriter out = new StringWriter();
        assertThat(execute(out, "--device", BuiltInTopology.GPU.toString(), "--format", "text"))
                .isZero();
        assertThat(out.toString()).doesNotContain("\u001b");
        assertThat(out.toString().replaceAll("\\s+", " "))
                .as("wherever its lines are broken")
                .contains("NOT_APPLICABLE, NO_DRIVER")
                .contains("of no known vendor");
    }

    @Test
    void aDeviceIsAskedForBeforeAnythingElse() throws IOException {
        Files.delete(host.resolve("sys/class/iommu/dmar0"));
        assertThat(execute(new StringWriter())).isEqualTo(2);
        assertThat(err.toString()).contains("--host needs --device, for example --device 0000:02:00.0");
    }
}
