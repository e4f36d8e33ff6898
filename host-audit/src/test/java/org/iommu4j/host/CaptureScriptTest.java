// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.iommu4j.audit.Auditor;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The script makes the same tar as {@link HostCapture}, under each shell that is installed. */
class CaptureScriptTest {
    private static final Path CAPTURES = Path.of("../integration-tests/src/test/resources/captures");
    private static final String DEVICES = "sys/devices/pci0000:00/";

    @TempDir
    private Path root;

    @TempDir
    private Path out;

    /** How a run of the script ended. */
    private record Run(int code, String out, String err) {}

    static Stream<List<String>> shells() {
        List<List<String>> found = Stream.of(List.of("dash"), List.of("bash"), List.of("busybox", "sh"))
                .filter(shell -> isInstalled(shell.get(0)))
                .toList();
        assumeTrue(!found.isEmpty(), "none of dash, bash and busybox is installed");
        return found.stream();
    }

    private static boolean isInstalled(String program) {
        return Stream.of("/bin/", "/usr/bin/").anyMatch(folder -> Files.isExecutable(Path.of(folder + program)));
    }

    private Run run(List<String> shell, String... arguments) throws IOException, InterruptedException {
        Path script = Files.writeString(out.resolve("capture.sh"), CaptureScript.text());
        List<String> command = new ArrayList<>(shell);
        command.add(script.toString());
        command.addAll(List.of(arguments));
        Path printed = out.resolve("stdout");
        Path reported = out.resolve("stderr");
        Process process = new ProcessBuilder(command)
                .directory(out.toFile())
                .redirectOutput(printed.toFile())
                .redirectError(reported.toFile())
                .start();
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        return new Run(process.exitValue(), Files.readString(printed), Files.readString(reported));
    }

    private void write(String path, String text) throws IOException {
        write(path, text.getBytes(StandardCharsets.ISO_8859_1));
    }

    private void write(String path, byte[] bytes) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.write(file, bytes);
    }

    private void link(String path, String target) throws IOException {
        Path link = root.resolve(path);
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, Path.of(target));
    }

    private String function(String path, byte[] config) throws IOException {
        String directory = DEVICES + path + "/";
        String name = path.substring(path.lastIndexOf('/') + 1);
        write(directory + "vendor", "0x8086\n");
        write(directory + "device", "0x1616\n");
        write(directory + "class", "0x030000\n");
        write(directory + "revision", "0x09\n");
        write(directory + "vpd", "SERIAL4711");
        write(directory + "config", config);
        link("sys/bus/pci/devices/" + name, "../../../devices/pci0000:00/" + path);
        link(directory + "iommu_group", "../".repeat(path.split("/").length + 2) + "kernel/iommu_groups/1");
        link("sys/kernel/iommu_groups/1/devices/" + name, "../../../../devices/pci0000:00/" + path);
        return directory;
    }

    private void writeHost() throws IOException {
        String device = function("0000:00:02.0", HostFixtures.express(0x0810));
        link(device + "driver", "../../../bus/pci/drivers/i915");
        link(device + "iommu", "../../virtual/iommu/dmar0");
        Files.createDirectories(root.resolve("sys/bus/pci/drivers/i915"));
        byte[] withVital = HostFixtures.express(0);
        withVital[0x71] = (byte) 0x90;
        withVital[0x90] = 0x03;
        Arrays.fill(withVital, 0x94, 0x98, (byte) 'V');
        function("0000:00:1c.0/0000:02:00.0/0000:03:08.0/0000:05:00.0/0000:06:00.0/0000:07:00.0", withVital);
        function("0000:00:1f.0", Arrays.copyOf(withVital, 64));
        function("0000:00:1f.3", Arrays.copyOf(withVital, 0x106));
        write("sys/kernel/iommu_groups/1/type", "DMA-FQ\n");
        write("sys/kernel/iommu_groups/1/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n");
        String unit = "sys/devices/virtual/iommu/dmar0/intel-iommu/";
        write(unit + "address", "fed90000\n");
        write(unit + "version", "1:0\n");
        write(unit + "cap", "1c0000c40660462\n");
        write(unit + "ecap", "19e2ff0505e\n");
        link("sys/class/iommu/dmar0", "../../devices/virtual/iommu/dmar0");
        byte[] table = new byte[600];
        Arrays.fill(table, (byte) 0xff);
        System.arraycopy("DMAR".getBytes(StandardCharsets.US_ASCII), 0, table, 0, 4);
        write("sys/firmware/acpi/tables/DMAR", table);
        write("sys/firmware/acpi/tables/MSDM", "LICENCE4711");
        write("sys/hypervisor/type", "xen\n");
        write("sys/hypervisor/uuid", "01234567-89ab-cdef-0123-456789abcdef\n");
        write("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
        write("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
        write(
                "proc/cmdline",
                "root=UUID=01234567-89ab-cdef-0123-456789abcdef pw=\"a pci=secret\" intel_iommu=on,sm_on --pci=secret"
                        + " iommu=pt pci=\u00e0b vfio-pci.ids=8086:1616 pci=\"no ats\" myhost nointremap"
                        + " iommu4j.x=aa:bb:cc:dd:ee:ff -- iommu=secret\n");
        write("var/log/dmesg", """
                Nov 28 10:00:00 myhost kernel: [    0.0] Linux version 6.1.0-1-amd64 (me@myhost) (gcc) #1 Debian 6.1.9-2
                [    0.0] Linux version 6.1.0-1-amd64 (me@myhost) (gcc of myhost) #1 SMP
                <5>[    0.0][    T0] Command line: root=/dev/mapper/myhost-root intel_iommu=on name=myhost
                [    0.1] myhost kernel: Kernel command line: root=/dev/mapper/myhost-root intel_iommu=on name=myhost
                [    0.1] Unknown kernel command line parameters "name=myhost arm-smmu=x", will be passed on.
                kern  :info  : [Fri Apr  7 10:00:01 2023] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c ecap 1a
                [    0.2] DMAR-IR: Enabled IRQ remapping in x2apic mode
                [    0.3] e1000e eth0: (PCI Express) aa:bb:cc:dd:ee:ff
                [    0.3] pci 0000:00:02.0: [8086:1616] type 00 class 0x030000 PCIe Root Complex
                [    0.3] ACPI: DMAR 0x000000001FFE3083 0000B8 (v01 MYHOST  BXPC     00000001 BXPC 00000001)
                [    0.4] DMAR: of aa:bb:cc:dd:ee:ff aa-bb-cc-dd-ee-ff 01234567-89ab-cdef-0123-456789abcdef (me@myhost)
                [    0.4] DMAR: tab\there, a\u0001a:bb:cc:dd:ee:ff and a\u00b6a:bb:cc:dd:ee:ff\r
                [    0.4] pci 0000:00:01.0: AMD-Vi: Found IOMMU cap 0x40
                [    0.4] pci 0000:00:14.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting it
                [    0.5] vfio-pci: probe of 0000:01:00.0 failed with error -22
                [    0.5] pci 0000:00:02.0: Adding to iommu group 1
                [    0.5] virtio0: Adding to iommu group 2
                [    0.5] iommu: Removing device 0000:00:02.0 from group 1
                (XEN) [2026-11-28] Intel VT-d Snoop Control not enabled of myhost.
                (XEN) Command line: name=myhost
                [    0.6] Hypervisor detected: Xen PV on myhost
                Nov 28 10:00:02 myhost libvirtd[123]: error: kernel: DMAR: IOMMU disabled, says myhost
                Nov 28 10:00:02 myhost kernel[1]: [    0.7] DMAR: DRHD: handling fault status reg 3
                <30>[    5.0] program: DMAR: IOMMU enabled on myhost
                [    5.0] cloud-init[500]: DMAR-IR: Enabled IRQ remapping in mode of myhost
                [    7.0] Run /init as init process
                <30>[    8.0] systemd[1]: Hostname set to <myhost>.
                """.replace("\n\n", "\n") + "DMAR: " + "x".repeat(9_000) + " myhost");
        write("usr/share/misc/pci.ids", """
                # SERIAL4711
                1002  Other
                8086  M\u00e4ker
                \t1616  Graphics 5500
                \t\t8086 1616  Board
                \t1617  Not here
                C 03  Display controller
                \t00  VGA compatible controller
                \t01  XGA compatible controller
                """);
        for (String name : List.of("a b", "$(touch hacked)", "*", "'\"", "\n0000:00:02.0", "-rf", "`id`", "\u00e4")) {
            write("sys/bus/pci/devices/" + name + "/vendor", "0xffff\n");
            write("sys/class/iommu/" + name + "/x-iommu/" + name, name);
            write("sys/kernel/iommu_groups/" + name + "/type", "DMA\n");
        }
        link("sys/bus/pci/devices/dangling", "../nowhere $(id)");
        link("sys/bus/pci/devices/outside", "/usr");
    }

    private static List<String> entries(Path tar) throws IOException {
        List<String> entries = new ArrayList<>();
        try (InputStream in = Files.newInputStream(tar);
                TarArchiveInputStream archive = new TarArchiveInputStream(in)) {
            for (TarArchiveEntry entry = archive.getNextEntry(); entry != null; entry = archive.getNextEntry()) {
                entries.add(entry.getName() + " -> " + entry.getLinkName() + ": "
                        + new String(archive.readAllBytes(), StandardCharsets.ISO_8859_1));
            }
        }
        return entries;
    }

    private void assertSame(Path host, List<String> shell) throws IOException, InterruptedException {
        Path ours = out.resolve("java.tar");
        Path its = out.resolve("shell.tar");
        Files.deleteIfExists(its);
        HostCapture.Summary summary = HostCapture.write(host, ours);
        Run run = run(shell, "--root", host.toString(), "shell.tar");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out())
                .isEqualTo("shell.tar: PCI functions %d, IOMMUs %d, groups %d%n"
                        .formatted(summary.functions(), summary.units(), summary.groups()));
        assertThat(run.err().lines())
                .containsExactlyElementsOf(summary.missing().stream()
                        .map(line -> "capture: missing: " + line)
                        .toList());
        assertThat(entries(its)).isEqualTo(entries(ours));
        assertThat(its).hasSameBinaryContentAs(ours);
    }

    @ParameterizedTest
    @MethodSource("shells")
    void everyShellMakesTheSameTarAsJava(List<String> shell) throws IOException, InterruptedException {
        writeHost();
        assertSame(root, shell);
        String all = Files.readString(out.resolve("shell.tar"), StandardCharsets.ISO_8859_1);
        assertThat(all)
                .contains("Linux version 6.1.0-1-amd64 (builder)", "dmar0: reg_base_addr", "xen", "Graphics 5500")
                .contains("intel_iommu=on,sm_on iommu=pt vfio-pci.ids=8086:1616 nointremap", "/0000:07:00.0/vendor")
                .doesNotContain("4711", "myhost", "secret", "bb:cc", "bb-cc", "89ab-cdef", "VVVV", "\u00a0\u00a1")
                .doesNotContain("MYHOST", "XGA", System.getProperty("user.name") + "\0");
        assertThat(out.resolve("hacked")).doesNotExist();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(out.resolve("shell.tar"))))
                .isEqualTo("rw-------");
    }

    static Stream<Arguments> hosts() {
        List<List<String>> found = shells().toList();
        return Stream.of(
                Arguments.of("amd-qemu11", found.get(0)), Arguments.of("intel-sc0", found.get(found.size() - 1)));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void theTestHostsAreCapturedAndAuditedAlike(String name, List<String> shell)
            throws IOException, InterruptedException {
        unpack(CAPTURES.resolve(name + ".tar"), root);
        assertSame(root, shell);
        assertThat(audited("shell.tar")).isEqualTo(audited("java.tar"));
    }

    /** Audits a capture below a name of its own, for sources have the name. */
    private String audited(String name) throws IOException {
        Path tar = Files.createDirectories(out.resolve("same")).resolve("host.tar");
        Files.copy(out.resolve(name), tar, StandardCopyOption.REPLACE_EXISTING);
        IommuVendors vendors = IommuVendors.load();
        return new Auditor(vendors)
                .audit(new HostInputs(vendors).path(tar).read())
                .toString();
    }

    private static void unpack(Path tar, Path folder) throws IOException {
        try (InputStream in = Files.newInputStream(tar);
                TarArchiveInputStream archive = new TarArchiveInputStream(in)) {
            for (TarArchiveEntry entry = archive.getNextEntry(); entry != null; entry = archive.getNextEntry()) {
                Path path = folder.resolve(entry.getName());
                Files.createDirectories(path.getParent());
                if (entry.isSymbolicLink()) {
                    Files.createSymbolicLink(path, Path.of(entry.getLinkName()));
                } else if (entry.isDirectory()) {
                    Files.createDirectories(path);
                } else {
                    Files.write(path, archive.readAllBytes());
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("shells")
    void whatIsMissingIsReportedAndNothingIsLeftBehind(List<String> shell) throws IOException, InterruptedException {
        function("0000:00:1f.0", new byte[64]);
        Files.createDirectories(root.resolve("sys/firmware/acpi/tables/DMAR"));
        link("sys/bus/pci/devices/dangling", "../nowhere");
        assertSame(root, shell);
        assertThat(Files.readString(out.resolve("stderr")))
                .contains("kernel log: var/log/dmesg can't be read", "proc/cmdline: ", "tables/DMAR: can't be read")
                .contains("devices/dangling: is a dangling link");
    }

    @ParameterizedTest
    @MethodSource("shells")
    void noFileIsReplacedAndAFailureLeavesNone(List<String> shell) throws IOException, InterruptedException {
        Files.createDirectories(root.resolve("sys"));
        Path mine = Files.writeString(out.resolve("mine.tar"), "mine");
        Files.createSymbolicLink(out.resolve("link.tar"), Path.of("nowhere"));
        for (String name : List.of("mine.tar", "link.tar")) {
            Run run = run(shell, "--root", root.toString(), name);
            assertThat(run.code()).isEqualTo(2);
            assertThat(run.err()).isEqualTo("capture: " + name + ": is there already\n");
        }
        assertThat(mine).hasContent("mine");
        assertThat(run(shell, "--root", out.toString(), "new.tar"))
                .satisfies(run -> assertThat(run.code()).isEqualTo(2))
                .satisfies(run -> assertThat(run.err()).contains("no PCI function under sys/bus/pci/devices"));
        assertThat(run(shell).err()).contains("usage: ");
        assertThat(out.resolve("new.tar")).doesNotExist();
        assertThat(out.resolve("nowhere")).doesNotExist();
    }

    @Test
    void theScriptIsShortAndComplete() {
        assertThat(CaptureScript.text().lines()).hasSizeLessThan(150).noneMatch(line -> line.matches(".*@[A-Z_]+@.*"));
    }

    /** Linux below Xen has no units, and says in one file that Xen has them. */
    @Test
    void aCaptureShowsThatXenHasTheHost() throws IOException {
        writeHost();
        Path tar = out.resolve("host.tar");
        HostCapture.write(root, tar);
        IommuVendors vendors = IommuVendors.load();
        assertThat(new Auditor(vendors)
                        .audit(new HostInputs(vendors).path(tar).read())
                        .overall()
                        .toString())
                .isEqualTo("UNKNOWN");
        assertThat(new HostInputs(vendors).path(tar).read().hypervisor())
                .map(Fact::value)
                .contains("Xen");
    }
}
