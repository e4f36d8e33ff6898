// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Encodings against words written by hand from the manual's bit numbers. */
class EncodingTest {
    private static final long READ_WRITE = 3L << 61;
    private static final long FORCE_COHERENT = 1L << 60;

    @ParameterizedTest(name = "2^{0} at {1} is {2}")
    @CsvSource({
        "12, 0x123456000,      0x7000000123456001",
        "13, 0x123456000,      0x7000000123456e01",
        "14, 0x123454000,      0x7000000123455e01",
        "16, 0x123450000,      0x7000000123457e01",
        "20, 0x123400000,      0x700000012347fe01",
        "21, 0x123400000,      0x7000000123400001",
        "22, 0x123400000,      0x70000001235ffe01",
        "30, 0x140000000,      0x7000000140000001",
        "31, 0x180000000,      0x70000001bffffe01",
        "48, 0x1000000000000,  0x7001000000000001",
        "51, 0x8000000000000,  0x700bfffffffffe01",
    })
    void aLeafHasItsSizeInItsAddressAndForceCoherent(int shift, String address, String expected) {
        long leaf = HostPageEntry.leaf(Long.decode(address), shift, READ_WRITE, FORCE_COHERENT);
        assertThat(Long.toHexString(leaf)).isEqualTo(expected.substring(2));
        int level = (shift - 12) / 9 + 1;
        assertThat(HostPageEntry.isTable(leaf)).isFalse();
        assertThat(HostPageEntry.leafShift(leaf, level)).isEqualTo(shift);
        assertThat(HostPageEntry.leafAddress(leaf, shift)).isEqualTo(Long.decode(address));
    }

    @Test
    void anEightKilobyteLeafHasAddressBit12Clear() {
        long leaf = HostPageEntry.leaf(0x2000, 13, READ_WRITE, FORCE_COHERENT);
        assertThat(leaf & 0x1000).isZero();
        assertThat(leaf).isEqualTo(0x7000_0000_0000_2e01L);
    }

    @Test
    void aTablePermitsAllAndHasNoForceCoherent() {
        assertThat(HostPageEntry.table(0xabc000, 2)).isEqualTo(0x6000_0000_00ab_c401L);
        assertThat(HostPageEntry.isTable(0x6000_0000_00ab_c401L)).isTrue();
    }

    @Test
    void aSizeThatDoesNotBelongIntoItsTableIsABug() {
        long leaf = HostPageEntry.leaf(0, 22, READ_WRITE, FORCE_COHERENT);
        assertThatThrownBy(() -> HostPageEntry.leafShift(leaf, 1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("2^22")
                .hasMessageContaining(Long.toHexString(leaf));
    }

    @Test
    void deviceTableEntriesAreAsTheManualSays() {
        assertThat(DeviceTableEntry.BLOCKED).isEqualTo(3);
        assertThat(DeviceTableEntry.IDENTITY).isEqualTo(0x6000_0000_0000_0003L);
        assertThat(DeviceTableEntry.paging(0x1234_5000, 3)).isEqualTo(0x6000_0000_1234_5603L);
        long[] words = new long[4];
        DeviceTableEntry.GCR3_ROOT.set(words, 0xff_ffff_ffffL);
        assertThat(words).containsExactly(0x1c00_0000_0000_0000L, 0xffff_f800_ffff_0000L, 0, 0);
    }

    @Test
    void commandsAreAsTheManualSays() {
        assertThat(Command.completionWait(0x12_3456_7008L)).isEqualTo(0x1000_0012_3456_7009L);
        assertThat(Command.completionInterrupt()).isEqualTo(0x1000_0000_0000_0002L);
        assertThat(Command.invalidateDevtabEntry(0x0108)).isEqualTo(0x2000_0000_0000_0108L);
        assertThat(Command.invalidatePages(0xabcd)).isEqualTo(0x3000_abcd_0000_0000L);
        assertThat(Command.invalidateAll()).isEqualTo(0x8000_0000_0000_0000L);
        assertThat(Command.allPages()).isEqualTo(0x7fff_ffff_ffff_f003L);
    }

    @Test
    void commandsForGuestTablesAndDevicesAreAsTheManualSays() {
        assertThat(Command.invalidateGuestPages(0xabcd, 0x1_2345)).isEqualTo(0x3000_abcd_0001_2345L);
        assertThat(Command.invalidateIotlbPages(0x0100, 0xa_bcde, 5)).isEqualTo(0x4ade_0100_05bc_0100L);
        assertThat(Command.iotlbPages(Command.allPages())).isEqualTo(0x7fff_ffff_ffff_f001L);
        assertThat(Command.invalidateInterruptTable(0x0108)).isEqualTo(0x5000_0000_0000_0108L);
        assertThat(Command.completePpr0(0x0108, 0x1_2345)).isEqualTo(0x7001_2345_0000_0108L);
        assertThat(Command.completePpr1(true, 0x1ff, Command.PPR_INVALID)).isEqualTo(0x0000_11ff_0000_0004L);
        assertThat(Command.decode(Command.completePpr0(0x0108, 5), Command.completePpr1(true, 7, 1)))
                .contains("COMPLETE_PPR_REQUEST", "PASID=5", "CompletionTag=7");
    }

    @Test
    void guestTablesInADeviceTableEntryAreAsTheManualSays() {
        assertThat(DeviceTableEntry.guest0(0x000f_ffff_ffff_f000L, 3)).isEqualTo(0x1e80_0000_0000_0000L);
        assertThat(DeviceTableEntry.guest1(0x000f_ffff_ffff_f000L)).isEqualTo(0xffff_f800_ffff_0000L);
        assertThat(DeviceTableEntry.guest2(5)).isEqualTo(1L << 54);
        assertThat(GuestPageEntry.leaf(0x1234_5000, 12, true)).isEqualTo(0x1234_5067L);
        assertThat(GuestPageEntry.leaf(0x1220_0000, 21, false)).isEqualTo(0x1220_00a5L);
        assertThat(GuestPageEntry.table(0x1234_5000)).isEqualTo(0x1234_5027L);
    }

    @ParameterizedTest(name = "{0} to {1} is {2}")
    @CsvSource({
        "0x5000,             0x5fff,              0x5002",
        "0x4000,             0x5fff,              0x4003",
        "0x5000,             0x6fff,              0x5003",
        "0x0,                0x3fff,              0x1003",
        "0x200000,           0x3fffff,            0x2ff003",
        "0x3ff000,           0x400fff,            0x3ff003",
        "0x0,                0x7fffffffffffffff,  0x7ffffffffffff003",
        "0x40000000000000,   0x5fffffffffffff,    0x7ffffffffffff003",
    })
    void anInvalidationCoversItsRangeWithOnePowerOfTwo(String first, String last, String expected) {
        assertThat(Long.toHexString(Command.pages(Long.decode(first), Long.decode(last))))
                .isEqualTo(expected.substring(2));
    }

    @Test
    void commandsDecodeToOneLine() {
        assertThat(Command.decode(Command.invalidatePages(5), Command.allPages()))
                .contains("INVALIDATE_IOMMU_PAGES", "DomainID=5", "S=1", "PDE=1");
        assertThat(Command.decode(0xf000_0000_0000_0000L, 0)).contains("unknown opcode 0xf");
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', textBlock = """
                    10a1bcde000a0108 ; 1000 ; ILLEGAL_DEV_TABLE_ENTRY device 0001:01:01.0 pasid 0xabcde address \
                    0x1000 write flags GN|RW|RZ
                    1120000000000108 ; 1000 ; ILLEGAL_DEV_TABLE_ENTRY device 0001:01:01.0 address 0x1000 write flags \
                    RW|TR
                    2020000200000108 ; 1000 ; IO_PAGE_FAULT device 0001:01:01.0 domain 0x0002 address 0x1000 write \
                    flags RW
                    21d7bcde000a0108 ; 1000 ; IO_PAGE_FAULT device 0001:01:01.0 pasid 0xabcde address 0x1000 read \
                    flags GN|NX|US|PR|PE|RZ|TR
                    3220000000000108 ; 1000 ; DEV_TAB_HARDWARE_ERROR device 0001:01:01.0 entry at 0x1000 write flags \
                    RW: master abort
                    4500000500000108 ; 1000 ; PAGE_TAB_HARDWARE_ERROR device 0001:01:01.0 domain 0x0005 entry at \
                    0x1000 read flags TR: target abort
                    4621bcde000a0108 ; 1000 ; PAGE_TAB_HARDWARE_ERROR device 0001:01:01.0 pasid 0xabcde entry at \
                    0x1000 write flags GN|RW: data error
                    5000000000000000 ; abc0 ; ILLEGAL_COMMAND_ERROR command at 0xabc0
                    6600000000000000 ; abc0 ; COMMAND_HARDWARE_ERROR memory at 0xabc0: data error
                    6000000000000000 ; abc0 ; COMMAND_HARDWARE_ERROR memory at 0xabc0: type 0
                    7000000000000108 ; abc0 ; IOTLB_INV_TIMEOUT device 0001:01:01.0 command at 0xabc0
                    9020000000000108 ; 1000 ; INVALID_PPR_REQUEST device 0001:01:01.0 address 0x1000 write tag 0x000
                    a000000000000000 ;   12 ; EVENT_COUNTER_ZERO 0xa000000000000000 0x0000000000000012
                    b000000000000001 ;    0 ; GUEST_EVENT_FAULT 0xb000000000000001 0x0000000000000000
                    c000000000000001 ;    0 ; UNKNOWN 0xc000000000000001 0x0000000000000000
                    d000000000000108 ; 1000 ; RMP_PAGE_FAULT device 0001:01:01.0 address 0x1000
                    e000000000000108 ; 1000 ; RMP_HW_ERROR device 0001:01:01.0 memory at 0x1000
                    f000000000000001 ;    0 ; UNKNOWN 0xf000000000000001 0x0000000000000000
                    """)
    void anEventSaysWhatItHasAndNothingElse(String word0, String word1, String text) {
        assertThat(EventLogEntry.text(1, Long.parseUnsignedLong(word0, 16), Long.parseUnsignedLong(word1, 16)))
                .isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', textBlock = """
                    8100000000000108 ; false ; : translation request, but I, V or TV is 0
                    8301bcde000a0108 ; false ; pasid 0xabcde address 0x1000: translation request for interrupts, port \
                    I/O or system management
                    8500000000000108 ; false ; : translation request, type 2
                    8000000000000108 ; false ; : read or non-posted write of interrupts
                    8200000000000108 ; false ; : translated by the device, but I or V is 0
                    8400000000000108 ; false ; : port I/O, but IoCtl is 0
                    8600000000000108 ; true  ; : posted write of system management that SysMgt forbids, or of a \
                    reserved range
                    8800000000000108 ; false ; : read or non-posted write of system management that SysMgt forbids, \
                    or of a reserved range
                    8a00000000000108 ; true  ; : posted write of interrupts, but IntCtl is 0
                    8c00000000000108 ; true  ; : posted write of interrupts, to a reserved address
                    8e00000000000108 ; false ; : port I/O or system management to be translated, but TV is 0
                    """)
    void anInvalidRequestSaysWhyAndOnlySoWhetherItWrote(String word0, boolean wrote, String reason) {
        long word = Long.parseUnsignedLong(word0, 16);
        assertThat(EventLogEntry.text(1, word, 0x1000))
                .startsWith("INVALID_DEVICE_REQUEST device 0001:01:01.0 ")
                .endsWith(reason);
        assertThat(EventLogEntry.wrote(word)).isEqualTo(wrote);
    }

    @Test
    void aRefusedPageRequestHasItsPasidWherePageRequestsHaveIt() {
        long word0 = 0x9164_2bff_bcde_0108L;
        assertThat(EventLogEntry.pasid(word0)).isEqualTo(0xabcde);
        assertThat(EventLogEntry.text(0, word0, 0x1000))
                .isEqualTo("INVALID_PPR_REQUEST device 0000:01:01.0 pasid 0xabcde address 0x1000 write tag 0x1ff");
        assertThat(EventLogEntry.pasid(0x9060_0002_0000_0108L)).as("GN is 0").isEqualTo(-1);
    }
}
