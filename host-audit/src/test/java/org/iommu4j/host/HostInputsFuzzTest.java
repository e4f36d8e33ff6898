// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.PciGroups;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;

/**
 * No bytes crash a parser, hang it or make it ask for memory without end: each is read, or refused in one line.
 *
 * <p>Without {@code JAZZER_FUZZ} the inputs that are checked in are tried, else new ones are made; CONTRIBUTING.md says
 * how.
 */
class HostInputsFuzzTest {
    private static final IommuVendors VENDORS = IommuVendors.load();

    private static final Map<String, String> AMD_UNIT =
            Map.of("amd-iommu/cap", "190b640f", "amd-iommu/features", "246577efa2254afa:1b");

    private static final Map<String, String> INTEL_UNIT = Map.of(
            "intel-iommu/address", "fed90000",
            "intel-iommu/version", "1:0",
            "intel-iommu/cap", "d2008c40660462",
            "intel-iommu/ecap", "f050da");

    private static final Source FUZZ = new Source("fuzz", Rank.LSPCI);

    private static final KernelLogReader LOGS = new KernelLogReader(VENDORS);

    private interface Reading {
        void into(EvidenceBuilder host);
    }

    private static void readOrRefused(Reading reading) {
        EvidenceBuilder host = HostEvidence.builder("fuzz");
        try {
            reading.into(host);
        } catch (InputException e) {
            assertThat(e.getMessage()).isNotEmpty().doesNotContain("\n", "\r", "\u001b");
            return;
        }
        use(host.build());
    }

    /** Asks everything that an answer is made of. */
    private static void use(HostEvidence host) {
        assertThat(host.warnings()).allSatisfy(line -> assertThat(line).doesNotContain("\n", "\r", "\u001b"));
        for (FunctionEvidence function : host.functions()) {
            assertThat(function.upstreamBridge().map(host::function).orElse(Optional.of(function)))
                    .isPresent();
            assertThat(List.of(function.bridge(), function.pciExpress(), function.noSnoopEnabled()))
                    .doesNotContainNull();
            assertThat(function.name().orElse("")).doesNotContain("\n", "\u001b");
        }
        assertThat(PciGroups.of(host.topology(), address -> true).stream()
                        .mapToInt(List::size)
                        .sum())
                .isEqualTo(host.requesters().size());
        for (IommuVendor vendor : VENDORS.claiming(host.firmware())) {
            describe(vendor, host);
        }
    }

    private static void describe(IommuVendor vendor, HostEvidence host) {
        try {
            assertThat(vendor.describe(host.firmware(), host.topology(), host.registers(), LinuxRelease.NEWEST)
                            .devices())
                    .hasSameSizeAs(host.requesters());
        } catch (MalformedTableException e) {
            assertThat(e.getMessage()).doesNotContain("\n", "\u001b");
        }
    }

    @FuzzTest(maxDuration = "10m")
    void lspci(byte[] text) {
        readOrRefused(host -> LspciReader.read(TextLines.of(text, "fuzz"), FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void kernelLog(byte[] text) {
        readOrRefused(host -> LOGS.read(text, FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void groupListing(byte[] text) {
        readOrRefused(host -> GroupListingReader.read(TextLines.of(text, "fuzz"), FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void pastedText(byte[] text) {
        byte[] mended = PastedText.mended(text);
        TextLines.of(mended).forEach(line -> assertThat(line).doesNotContain("\n", "\u001b"));
        readOrRefused(host -> LspciReader.read(TextLines.of(mended, "fuzz"), FUZZ, host));
        readOrRefused(host -> GroupListingReader.read(TextLines.of(mended, "fuzz"), FUZZ, host));
        readOrRefused(host -> LOGS.read(mended, FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void nodeDevices(byte[] text) {
        readOrRefused(host -> NodeDeviceReader.read(TextLines.of(text, "fuzz"), FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void pvesh(byte[] text) {
        readOrRefused(host -> PveshReader.read(TextLines.of(text, "fuzz"), FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void registerListing(byte[] text) {
        readOrRefused(host -> RegisterListing.read(TextLines.of(text, "fuzz"), FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void acpidump(byte[] text) {
        readOrRefused(host -> AcpiReader.read(TextLines.of(text, "fuzz"), FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void acpiTable(byte[] bytes) {
        readOrRefused(host -> AcpiReader.read(bytes, FUZZ, host));
    }

    @FuzzTest(maxDuration = "10m")
    void capture(byte[] archive) {
        readOrRefused(host -> {
            TextInputs texts = new TextInputs(LOGS);
            SysfsReader.read(
                    CaptureFiles.ofArchive(new ByteArrayInputStream(archive), "fuzz", texts), VENDORS, LOGS, host);
            texts.read("fuzz", true, host);
        });
    }

    @FuzzTest(maxDuration = "10m")
    void textOfAllKinds(byte[] text) {
        readOrRefused(host -> assertThat(TextSections.of(text, "fuzz", LOGS).read("fuzz", host))
                .isSubsetOf(TextSections.Kind.values()));
    }

    @FuzzTest(maxDuration = "10m")
    void pciIds(byte[] text) {
        PciIds ids = PciIds.read(text, vendor -> true);
        assertThat(ids.name(0x8086, 0x1616).orElse("")).doesNotContain("\n");
    }

    /** What stands behind the header, whose signature and length are right. */
    @FuzzTest(maxDuration = "10m")
    void dmar(byte[] body) {
        describe("DMAR", body);
    }

    /** What stands behind the header, whose signature and length are right. */
    @FuzzTest(maxDuration = "10m")
    void ivrs(byte[] body) {
        describe("IVRS", body);
    }

    private static void describe(String signature, byte[] body) {
        byte[] table = new byte[36 + body.length];
        for (int i = 0; i < 4; i++) {
            table[i] = (byte) signature.charAt(i);
            table[4 + i] = (byte) (table.length >> (8 * i));
        }
        System.arraycopy(body, 0, table, 36, body.length);
        FirmwareTables firmware = asked -> asked.equals(signature) ? Optional.of(table.clone()) : Optional.empty();
        for (IommuVendor vendor : VENDORS.claiming(firmware)) {
            try {
                assertThat(vendor.describe(firmware, List::of, RegisterValues.UNKNOWN, LinuxRelease.NEWEST)
                                .devices())
                        .isEmpty();
            } catch (MalformedTableException e) {
                assertThat(e.getMessage()).startsWith(signature).doesNotContain("\n", "\u001b");
            }
        }
        for (IommuVendor vendor : VENDORS.all()) {
            readUnit(vendor, "ivhd0", AMD_UNIT, firmware);
            readUnit(vendor, "dmar0", INTEL_UNIT, firmware);
        }
    }

    private static void readUnit(
            IommuVendor vendor, String name, Map<String, String> attributes, FirmwareTables firmware) {
        try {
            assertThat(vendor.describeSysfsUnit(name, attributes, firmware)
                            .map(ShownUnit::inUse)
                            .orElse(Answer.YES))
                    .isEqualTo(Answer.YES);
        } catch (IllegalArgumentException e) {
            assertThat(e.getMessage()).isNotEmpty().doesNotContain("\n", "\u001b");
        }
    }
}
