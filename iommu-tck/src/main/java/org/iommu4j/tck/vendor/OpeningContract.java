// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.ScriptedPlatform;
import org.iommu4j.tck.ScriptedPlatform.Registers;
import org.iommu4j.tck.VendorBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.spi.IommuVendor#open} where hardware is absent, broken or described wrongly. */
public abstract class OpeningContract {
    private static final Set<Errno> REFUSALS =
            EnumSet.of(Errno.ENODEV, Errno.EBUSY, Errno.EINVAL, Errno.ENOMEM, Errno.ETIMEDOUT);

    /** Made by JUnit. */
    protected OpeningContract() {}

    @Test
    @Promise("open-3")
    void withoutItsTableThereIsNoDevice(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        Map<String, byte[]> others = bench.tables();
        others.remove(bench.signature());
        for (Registers registers : Registers.values()) {
            ScriptedPlatform platform =
                    bench.platform().with(VendorBench.firmware(others)).with(registers);
            assertRefused(Errno.ENODEV, () -> vendor.open(platform.context()));
            platform.assertNothingHeld();
            platform.assertNotWritten();
        }
    }

    @Test
    @Promise("open-3")
    void registersThatMakeNoSenseAreNoDevice(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        for (Registers registers : new Registers[] {Registers.ABSENT, Registers.ALL_ONES, Registers.ALL_ZEROS}) {
            ScriptedPlatform platform = bench.platform().with(registers);
            bench.steps().note("open where registers are %s", registers);
            for (int attempt = 0; attempt < 2; attempt++) {
                assertRefused(Errno.ENODEV, () -> vendor.open(platform.context()));
                platform.assertNothingHeld();
            }
            assertThat(platform.accesses()).as("the driver looked for the unit").isPositive();
        }
    }

    /** Which tables have no unit is what a description says of them. */
    @Test
    @Promise("open-3")
    void aTableWithoutUnitsIsNoDevice(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        for (int length = AcpiTable.HEADER_LENGTH; length < table.length; length++) {
            byte[] cut = TableMutants.cut(table, length);
            if (!vendor.claims(bench.firmwareWith(cut))) {
                continue; // a device tree without the vendor's unit
            }
            HostDescription description;
            try {
                description = vendor.describe(
                        bench.facts(bench.firmwareWith(cut), bench.topology(), bench.values()), bench.release());
            } catch (MalformedTableException e) {
                continue;
            }
            if (description.units().isEmpty()) {
                ScriptedPlatform platform =
                        bench.platform().with(bench.firmwareWith(cut)).with(Registers.CLAIMED);
                bench.steps().note("open with the first %d bytes of the table", length);
                assertRefused(Errno.ENODEV, () -> vendor.open(platform.context()));
                platform.assertNothingHeld();
                platform.assertNotWritten();
            }
        }
    }

    @Test
    @Promise("open-4")
    void registersOfAnotherDriverAreBusy(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        ScriptedPlatform platform = bench.platform().with(Registers.CLAIMED);
        for (int attempt = 0; attempt < 3; attempt++) {
            assertRefused(Errno.EBUSY, () -> vendor.open(platform.context()));
            platform.assertNothingHeld();
        }
    }

    @Test
    @Promise("open-5")
    void aWrongChecksumIsRefused(VendorBench bench) {
        if (bench.byDeviceTree()) {
            return; // it has no checksum
        }
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        for (int at = 0; at < table.length; at++) {
            byte[] wrong = table.clone();
            wrong[at] ^= (byte) (1 << at % 8);
            assertInvalid(bench, vendor, wrong, "a flipped bit in byte " + at);
        }
        assertInvalid(bench, vendor, TableMutants.wronglySummed(table), "a wrong checksum");
    }

    @Test
    @Promise("open-5")
    void aMalformedTableIsRefused(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        for (int length = 0; length < table.length; length++) {
            assertInvalid(bench, vendor, Arrays.copyOf(table, length), "the first bytes of the table alone");
        }
        Random random = bench.random();
        int malformed = 0;
        for (int i = 0; i < bench.mutants(600); i++) {
            byte[] mutant = TableMutants.mutant(table, random);
            Throwable thrown = catchThrowable(() -> vendor.describe(
                    bench.facts(bench.firmwareWith(mutant), bench.topology(), bench.values()), bench.release()));
            if (thrown instanceof MalformedTableException) {
                malformed++;
                assertInvalid(bench, vendor, mutant, "a mutant that can't be described: " + thrown.getMessage());
            }
        }
        assertThat(malformed).as("mutants that are malformed").isPositive();
    }

    private static void assertInvalid(VendorBench bench, IommuVendor vendor, byte[] table, String about) {
        for (Registers registers : new Registers[] {Registers.CLAIMED, Registers.ALL_ONES}) {
            ScriptedPlatform platform =
                    bench.platform().with(bench.firmwareWith(table)).with(registers);
            Throwable thrown = catchThrowable(() -> vendor.open(platform.context()));
            if (!(thrown instanceof IommuException refusal) || refusal.errno() != Errno.EINVAL) {
                throw new AssertionError(
                        "open with " + about + ", " + HexFormat.of().formatHex(table) + ", expected EINVAL: " + thrown,
                        thrown);
            }
            platform.assertNothingHeld();
            platform.assertNotWritten();
        }
    }

    @Test
    @Promise({"open-9", "open-8"})
    void noBytesOfATableLeadToAnotherException(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        Random random = bench.random();
        Registers[] kinds = {
            Registers.ABSENT, Registers.CLAIMED, Registers.ALL_ONES, Registers.ALL_ZEROS, Registers.ALL_ONES
        };
        ScriptedPlatform platform = bench.platform();
        for (int i = 0; i < bench.mutants(2000); i++) {
            byte[] mutant = TableMutants.mutant(table, random);
            platform.with(bench.firmwareWith(mutant)).with(kinds[i % kinds.length]);
            assertRefusedOrOpen(vendor, platform, mutant);
            platform.assertNothingHeld();
        }
    }

    @Test
    @Promise({"open-9", "open-7"})
    void registersWithoutMeaningLeadToNoOtherException(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        Random random = bench.random();
        for (int i = 0; i < bench.mutants(40); i++) {
            ScriptedPlatform platform =
                    bench.platform().with(i % 2 == 0 ? Registers.CONSTANT : Registers.NOISE, random);
            assertRefusedOrOpen(vendor, platform, new byte[0]);
            platform.assertReleased();
        }
    }

    /** Opens and closes, or is refused with one of the contract's errnos. */
    private static void assertRefusedOrOpen(IommuVendor vendor, ScriptedPlatform platform, byte[] mutant) {
        Iommu opened;
        try {
            opened = vendor.open(platform.context());
        } catch (RuntimeException thrown) {
            if (thrown instanceof IommuException refusal
                    && REFUSALS.contains(refusal.errno())
                    && !refusal.getMessage().isBlank()) {
                return;
            }
            throw new AssertionError(
                    "open with a mutant " + HexFormat.of().formatHex(mutant) + " throws " + thrown, thrown);
        }
        opened.close();
    }

    @Test
    @Promise("open-10")
    void aReleaseThatTheDriverIsNotBuiltForIsRefused(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        for (LinuxRelease release : VendorContract.releases()) {
            for (Registers registers : new Registers[] {Registers.ABSENT, Registers.CLAIMED, Registers.ALL_ONES}) {
                ScriptedPlatform platform = bench.platform().with(release).with(registers);
                if (vendor.supports(release)) {
                    assertThat(Errnos.of(() -> vendor.open(platform.context())))
                            .as("open under %s", release)
                            .isPresent();
                } else {
                    assertThatThrownBy(() -> vendor.open(platform.context()))
                            .as("open under %s", release)
                            .isInstanceOf(IllegalArgumentException.class)
                            .message()
                            .isNotBlank();
                    platform.assertNothingHeld();
                    platform.assertNotWritten();
                }
            }
        }
    }
}
