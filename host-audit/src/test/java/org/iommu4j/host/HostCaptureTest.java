// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostCaptureTest {
    private static final PciAddress GRAPHICS = PciAddress.parse("0000:00:02.0");

    @TempDir
    private Path root;

    @TempDir
    private Path out;

    private void write(String path, String text) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private void link(String path, String target) throws IOException {
        Path link = root.resolve(path);
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, Path.of(target));
    }

    @BeforeEach
    void aHost() throws IOException {
        String device = "sys/devices/pci0000:00/0000:00:02.0/";
        write(device + "vendor", "0x8086\n");
        write(device + "device", "0x1616\n");
        write(device + "class", "0x030000\n");
        write(device + "vpd", "SERIAL4711");
        write(device + "net/eth0/address", "aa:bb:cc:dd:ee:ff\n");
        Files.write(root.resolve(device + "config"), HostFixtures.express(0x0810));
        link(device + "driver", "../../../bus/pci/drivers/i915");
        link(device + "iommu_group", "../../../kernel/iommu_groups/1");
        link(device + "iommu", "../../virtual/iommu/dmar0");
        Files.createDirectories(root.resolve("sys/bus/pci/drivers/i915"));
        link("sys/bus/pci/devices/0000:00:02.0", "../../../devices/pci0000:00/0000:00:02.0");
        write("sys/kernel/iommu_groups/1/type", "DMA-FQ\n");
        write("sys/kernel/iommu_groups/1/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n");
        link("sys/kernel/iommu_groups/1/devices/0000:00:02.0", "../../../../devices/pci0000:00/0000:00:02.0");
        String unit = "sys/devices/virtual/iommu/dmar0/intel-iommu/";
        write(unit + "address", "fed90000\n");
        write(unit + "version", "1:0\n");
        write(unit + "cap", "1c0000c40660462\n");
        write(unit + "ecap", "19e2ff0505e\n");
        link("sys/class/iommu/dmar0", "../../devices/virtual/iommu/dmar0");
        byte[] table = new byte[48];
        System.arraycopy("DMAR".getBytes(StandardCharsets.US_ASCII), 0, table, 0, 4);
        table[4] = 48;
        table[36] = 38;
        Files.createDirectories(root.resolve("sys/firmware/acpi/tables"));
        Files.write(root.resolve("sys/firmware/acpi/tables/DMAR"), table);
        write("sys/firmware/acpi/tables/MSDM", "LICENCE4711");
        write("sys/class/dmi/id/product_serial", "SERIAL4711");
        write("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
        write(
                "proc/cmdline",
                "root=UUID=01234567-89ab-cdef-0123-456789abcdef BOOTIF=01-aa-bb-cc-dd-ee-ff intel_iommu=on\n");
        write("var/log/dmesg", """
                [ 0.0] Linux version 6.1.0-56-amd64 (me@myhost) (gcc) #1
                [ 0.1] DMI: Vendor Product/Board, BIOS SERIAL4711
                [ 0.2] DMAR-IR: Enabled IRQ remapping in x2apic mode
                [ 0.3] e1000e eth0: (PCI Express) aa:bb:cc:dd:ee:ff
                [ 0.4] DMAR: Intel(R) Virtualization Technology for Directed I/O
                [ 2.0] Run /init as init process
                [ 3.0] systemd[1]: Hostname set to <myhost>.
                """);
        write("usr/share/misc/pci.ids", """
                1002  Other
                8086  Maker
                \t1616  Graphics 5500
                \t1617  Not here
                C 03  Display controller
                \t00  VGA compatible controller
                """);
    }

    private HostEvidence read(Path path) {
        return HostInputs.withInstalledVendors().path(path).read();
    }

    private static void same(HostEvidence one, HostEvidence other) {
        assertThat(one.functions()).hasSameSizeAs(other.functions());
        for (FunctionEvidence function : one.functions()) {
            FunctionEvidence twin = other.function(function.address()).orElseThrow();
            assertThat(Redaction.config(function.configBytes())).isEqualTo(Redaction.config(twin.configBytes()));
            assertThat(function.upstreamBridge()).isEqualTo(twin.upstreamBridge());
            assertThat(function.group()).isEqualTo(twin.group());
            assertThat(function.unit()).isEqualTo(twin.unit());
            assertThat(function.driver()).isEqualTo(twin.driver());
            assertThat(function.name()).isEqualTo(twin.name());
            assertThat(function.className()).isEqualTo(twin.className());
            assertThat(function.classCode()).isEqualTo(twin.classCode());
        }
        assertThat(one.groups()).isEqualTo(other.groups());
        assertThat(one.units()).isEqualTo(other.units());
        assertThat(one.kernelRelease())
                .map(Fact::value)
                .isEqualTo(other.kernelRelease().map(Fact::value));
        assertThat(one.interruptRemapping()).isEqualTo(other.interruptRemapping());
        assertThat(one.iommuInUse()).isEqualTo(other.iommuInUse());
        assertThat(one.tables().get("DMAR")).isEqualTo(other.tables().get("DMAR"));
        assertThat(one.warnings()).isEmpty();
        assertThat(other.warnings()).isEmpty();
    }

    @Test
    void aCaptureReadsBackAsTheHostItself() {
        HostCapture.Summary summary = HostCapture.write(root, out.resolve("host.tar"));
        assertThat(summary.functions()).isEqualTo(1);
        assertThat(summary.missing()).isEmpty();
        HostEvidence captured = read(out.resolve("host.tar"));
        same(HostInputs.withInstalledVendors().live(root).read(), captured);
        assertThat(captured.function(GRAPHICS).orElseThrow().noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(captured.function(GRAPHICS).orElseThrow().name()).contains("Maker Graphics 5500");
        assertThat(captured.bootOptions().has("intel_iommu", "on")).isTrue();
        assertThat(captured.interruptRemapping()).isEqualTo(Answer.YES);
    }

    @Test
    void twoCapturesOfAHostAreTheSameFile() throws IOException {
        HostCapture.write(root, out.resolve("one.tar"));
        HostCapture.write(root, out.resolve("two.tar"));
        assertThat(out.resolve("two.tar")).hasSameBinaryContentAs(out.resolve("one.tar"));
    }

    @Test
    void nothingThatTellsOneMachineFromAnotherIsInIt() throws IOException {
        Path tar = out.resolve("host.tar");
        HostCapture.write(root, tar);
        String everything = Files.readString(tar, StandardCharsets.ISO_8859_1);
        assertThat(everything)
                .doesNotContain("4711", "bb:cc", "bb-cc", "89ab-cdef", "myhost")
                .doesNotContain(System.getProperty("user.name") + "\0");
        byte[] serial = new byte[] {(byte) 0xa0, (byte) 0xa1, (byte) 0xa2, (byte) 0xa3};
        assertThat(everything).doesNotContain(new String(serial, StandardCharsets.ISO_8859_1));
    }

    /** Boot loaders, installers and administrators put all kinds of names onto the command line. */
    @Test
    void ofTheCommandLineWhatDecidesIsKeptAndNothingElse() throws IOException {
        write(
                "proc/cmdline",
                "BOOT_IMAGE=/vmlinuz root=/dev/disk/by-id/nvme-Maker_SSD_SERIAL4711-part2 "
                        + "ip=192.0.2.7:::::enx001122334455:none"
                        + " hostname=myhost nointremap ifname=lan:0011.2233.4455 "
                        + "netroot=iscsi:user:secret@192.0.2.9::3260::target"
                        + " intel_iommu=on,sm_on iommu=pt iommu.strict=1 intremap=nosid pci=noats,realloc "
                        + "vfio-pci.ids=8086:1616"
                        + " vfio_iommu_type1.allow_unsafe_interrupts amd_iommu=off snd_hda_intel.snoop=0"
                        + " my.intel_iommu=secret iommulab=secret quiet\n");
        HostCapture.write(root, out.resolve("host.tar"));
        assertThat(CaptureFiles.open(out.resolve("host.tar"))
                        .text("proc/cmdline")
                        .orElseThrow())
                .isEqualTo("nointremap intel_iommu=on,sm_on iommu=pt iommu.strict=1 intremap=nosid pci=noats,realloc"
                        + " vfio-pci.ids=8086:1616 vfio_iommu_type1.allow_unsafe_interrupts amd_iommu=off");
    }

    /** As Linux splits it: what stands in quotes belongs to one parameter, and what follows two dashes to init. */
    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '\'',
            value = {
                "'dyndbg=\"file x +p pci=secret123\" intel_iommu=on', 'intel_iommu=on'",
                "'pw=\"a\"b\" pci=secret\" iommu=pt', 'iommu=pt'",
                "'\"pw=x pci=secret\" iommu=pt', 'iommu=pt'",
                "'\"pci=noats secret\" iommu=pt', 'iommu=pt'",
                "'pci=\"noats secret\" iommu=pt', 'iommu=pt'",
                "'iommu=pt pw=\"x pci=secret', 'iommu=pt'",
                "'iommu=\"pt\" amd_iommu=off', 'iommu=\"pt\" amd_iommu=off'",
                "'iommu=pt -- pci=secret', 'iommu=pt'",
                "'iommu=pt --pci=secret pci=noats', 'iommu=pt pci=noats'",
                "'-- pci=secret', ''"
            })
    void ofTheCommandLineNothingInQuotesOrForInitPassesForAParameter(String line, String kept) throws IOException {
        write("proc/cmdline", line + "\n");
        HostCapture.write(root, out.resolve("host.tar"));
        assertThat(CaptureFiles.open(out.resolve("host.tar"))
                        .text("proc/cmdline")
                        .orElseThrow())
                .isEqualTo(kept);
    }

    @Test
    void ofTheLogTheKernelsMessagesAreKeptWithoutWhatALoggerPutsBefore() throws IOException {
        write("var/log/dmesg", """
                Nov 28 10:00:00 myhost kernel: [    0.0] Linux version 6.1.0-1-amd64 (me@myhost) (gcc of myhost) #1 SMP
                Nov 28 10:00:00 myhost kernel: [    0.0] Command line: root=/dev/mapper/myhost-root intel_iommu=on \
                name=myhost
                [    0.1] myhost kernel: Kernel command line: root=/dev/mapper/myhost-root intel_iommu=on name=myhost
                [    0.1] Unknown kernel command line parameters "name=myhost iommu=x", will be passed to user space.
                2025-11-28T10:00:00+0100 myhost kernel: DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap \
                1c0000c40660462 ecap 1a
                Nov 28 10:00:01 myhost kernel: [    0.2] iommu: Default domain type: Translated
                Nov 28 10:00:01 myhost kernel: [    0.2] pci 0000:00:02.0: Adding to iommu group 1
                Nov 28 10:00:02 myhost libvirtd[123]: internal error: iommu of guest "payroll" on myhost, \
                52:54:00:12:34:56
                Nov 28 10:00:02 myhost libvirtd[123]: DMAR: IOMMU disabled, says payroll
                [    5.0] cloud-init[500]: DMAR-IR: Enabled IRQ remapping in mode of payroll
                [    5.0] vfio_pci: user payroll: add [8086:1521]
                [    6.0] igb 0000:02:00.0: added PHC vfio on eth0 (PCIe:2.5Gb/s:Width x1) 00:11:22:33:44:55
                [    7.0] Run /init as init process
                """);
        HostCapture.write(root, out.resolve("host.tar"));
        assertThat(CaptureFiles.open(out.resolve("host.tar"))
                        .text("dmesg.txt")
                        .orElseThrow()
                        .lines())
                .containsExactly(
                        "Linux version 6.1.0-1-amd64 (builder)",
                        "Command line: intel_iommu=on",
                        "Kernel command line: intel_iommu=on",
                        "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 1a",
                        "iommu: Default domain type: Translated",
                        "0000:00:02.0: Adding to iommu group 1",
                        "Run /init as init process");
    }

    /** Kernels that print who called print it between the time and the message. */
    @Test
    void ofALogThatNamesCallersTheKernelsMessagesAreKeptToo() throws IOException {
        write("var/log/dmesg", """
                [    0.0][    T0] Linux version 6.1.0-1-amd64 (me@myhost) (gcc of myhost) #1 SMP
                [    0.1][    T0] DMAR: IOMMU feature sc_support inconsistent
                [    0.2][    T1] iommu: Default domain type: Translated
                [    5.0][  T500] cloud-init[500]: DMAR-IR: Enabled IRQ remapping in mode of payroll
                [    6.0][    T1] systemd[1]: Hostname set to <myhost>.
                """);
        HostCapture.write(root, out.resolve("host.tar"));
        assertThat(CaptureFiles.open(out.resolve("host.tar"))
                        .text("dmesg.txt")
                        .orElseThrow()
                        .lines())
                .containsExactly(
                        "Linux version 6.1.0-1-amd64 (builder)",
                        "DMAR: IOMMU feature sc_support inconsistent",
                        "iommu: Default domain type: Translated",
                        "systemd[1]:");
    }

    @Test
    void aGroupOfVfioWithoutIommuIsKnownFromACapture() throws IOException {
        write("sys/kernel/iommu_groups/1/name", "vfio-noiommu\n");
        HostCapture.write(root, out.resolve("host.tar"));
        assertThat(read(out.resolve("host.tar")).groups()).isEmpty();
    }

    @Test
    void ofModulesTheParametersThatDecideAreKept() throws IOException {
        write("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
        write("sys/module/snd_hda_intel/parameters/id", "myhost,(null)\n");
        HostCapture.write(root, out.resolve("host.tar"));
        CaptureFiles files = CaptureFiles.open(out.resolve("host.tar"));
        assertThat(files.text("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"))
                .contains("N");
        assertThat(files.list("sys/module")).containsExactly("vfio_iommu_type1");
    }

    @Test
    void theLogInTheKernelsMemoryIsCapturedWhereNoFileHasIt() throws IOException {
        Files.delete(root.resolve("var/log/dmesg"));
        Path ring = Files.writeString(out.resolve("kmsg"), """
                5,0,0,-;Linux version 6.1.0-56-amd64 (me@myhost) #1
                6,1,20,-;DMAR-IR: Enabled IRQ remapping in x2apic mode
                30,2,30,-;systemd[1]: Hostname set to <myhost>.
                """);
        HostCapture.Summary summary = HostCapture.write(new LiveFiles(root, ring), out.resolve("host.tar"));
        assertThat(summary.missing()).noneSatisfy(line -> assertThat(line).contains("kernel log"));
        HostEvidence host = read(out.resolve("host.tar"));
        assertThat(host.interruptRemapping()).isEqualTo(Answer.YES);
        assertThat(CaptureFiles.open(out.resolve("host.tar")).text("dmesg.txt").orElseThrow())
                .contains("Linux version 6.1.0-56-amd64", "systemd[1]:")
                .doesNotContain("myhost");
    }

    @ParameterizedTest
    @ValueSource(strings = {"host.tar.gz", "host.TGZ"})
    void aNameOfACompressedTarMakesOne(String name) throws IOException {
        Path plain = out.resolve("host.tar");
        Path compressed = out.resolve(name);
        HostCapture.write(root, plain);
        HostCapture.write(root, compressed);
        try (InputStream in = new GZIPInputStream(Files.newInputStream(compressed))) {
            assertThat(in.readAllBytes()).isEqualTo(Files.readAllBytes(plain));
        }
        same(read(compressed), read(plain));
    }

    @Test
    void whatCouldNotBeReadIsToldAndListedInside() throws IOException {
        Path config = root.resolve("sys/devices/pci0000:00/0000:00:02.0/config");
        Files.write(config, Arrays.copyOf(HostFixtures.express(0), 64));
        Files.delete(root.resolve("var/log/dmesg"));
        HostCapture.Summary summary = HostCapture.write(root, out.resolve("host.tar"));
        assertThat(summary.missing())
                .hasSize(2)
                .anySatisfy(line -> assertThat(line).contains("kernel log"))
                .anySatisfy(line -> assertThat(line).contains("configuration space of 1 of 1 functions"));
        assertThat(CaptureFiles.open(out.resolve("host.tar"))
                        .text(HostCapture.MISSING)
                        .orElseThrow())
                .isEqualTo(String.join("\n", summary.missing()));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(out)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void aCaptureIsForItsOwnerOnlyAndReplacesARegularFile() throws IOException {
        Path tar = Files.writeString(out.resolve("host.tar"), "old");
        HostCapture.write(root, tar);
        assertThat(read(tar).functions()).hasSize(1);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(tar)))
                .isEqualTo("rw-------");
        assertThat(names()).containsExactly("host.tar");
    }

    /** Somebody who may write beside it plans for names that the capture could use. */
    @Test
    void noLinkIsFollowed() throws IOException {
        Path precious = Files.writeString(out.resolve("precious"), "mine");
        for (String planted : List.of("host.tar.part", "host.tar.tmp", ".host.tar")) {
            Files.createSymbolicLink(out.resolve(planted), precious);
        }
        HostCapture.write(root, out.resolve("host.tar"));
        assertThat(precious).hasContent("mine");
        assertThat(read(out.resolve("host.tar")).functions()).hasSize(1);
        Path link = Files.createSymbolicLink(out.resolve("link.tar"), precious);
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostCapture.write(root, link))
                .withMessage(link + ": is a symbolic link, expected a regular file or none");
        assertThat(link).isSymbolicLink();
        assertThat(precious).hasContent("mine");
    }

    @Test
    void whatIsNoRegularFileStaysAsItIs() throws IOException, InterruptedException {
        Path pipe = out.resolve("pipe");
        assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor())
                .isZero();
        Path directory = Files.createDirectory(out.resolve("empty"));
        Path dangling = Files.createSymbolicLink(out.resolve("dangling"), out.resolve("nothing"));
        List<String> before = names();
        for (Path other :
                List.of(pipe, directory, dangling, Path.of("/dev/null"), Path.of("/dev/full"), Path.of("/"))) {
            assertThatExceptionOfType(InputException.class)
                    .isThrownBy(() -> HostCapture.write(root, other))
                    .withMessageStartingWith(other + ": is a ")
                    .withMessageEndingWith(", expected a regular file or none");
        }
        assertThat(names()).isEqualTo(before);
        assertThat(directory).isEmptyDirectory();
        assertThat(Files.readAttributes(pipe, BasicFileAttributes.class).isOther())
                .isTrue();
    }

    /** The name was free when the capture began. */
    @Test
    void whatTakesTheNameMeanwhileStaysAsItIs() throws IOException {
        Path target = out.resolve("host.tar");
        try (WholeFile file = WholeFile.begin(target)) {
            file.stream().write(1);
            Files.createDirectory(target);
            assertThatExceptionOfType(InputException.class).isThrownBy(file::keep);
        }
        assertThat(target).isEmptyDirectory();
        assertThat(names()).containsExactly("host.tar");
    }

    /** Begins a file and waits; its process is told to end meanwhile. */
    static final class Waiting {
        private Waiting() {}

        /** Begins the file that the argument names. */
        public static void main(String[] arguments) throws IOException {
            try (WholeFile file = WholeFile.begin(Path.of(arguments[0]))) {
                file.stream().write(1);
                System.out.println("begun");
                System.in.read();
            }
        }
    }

    @Test
    void aCaptureThatIsInterruptedLeavesNothing() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        Waiting.class.getName(),
                        out.resolve("host.tar").toString())
                .start();
        try {
            assertThat(process.inputReader().readLine()).isEqualTo("begun");
            assertThat(names()).singleElement().asString().endsWith(".part");
            process.destroy();
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(names()).isEmpty();
    }

    @Test
    void aFailedCaptureLeavesTheFileThatWasThere() throws IOException {
        Path tar = Files.writeString(out.resolve("host.tar"), "mine");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostCapture.write(out, tar))
                .withMessageContaining("no PCI function");
        assertThat(tar).hasContent("mine");
        assertThat(names()).containsExactly("host.tar");
    }

    @Test
    void aPlaceThatCannotBeWrittenIsNamed() {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostCapture.write(root, out.resolve("no/such/dir/host.tar")))
                .withMessageContaining("host.tar: can't be written");
    }
}
