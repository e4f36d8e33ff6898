// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class BootOptionsTest {
    @Test
    void aParameterListsItsValuesInOneOrMoreWords() {
        BootOptions options = new BootOptions("quiet intel_iommu=on,sm_off  ro intel_iommu=strict");
        assertThat(options.has("intel_iommu", "on")).isTrue();
        assertThat(options.has("intel_iommu", "sm_off")).isTrue();
        assertThat(options.has("intel_iommu", "strict")).isTrue();
        assertThat(options.has("intel_iommu", "sm_on")).isFalse();
        assertThat(options.has("amd_iommu", "on")).isFalse();
        assertThat(options.has("quiet", "")).isFalse();
    }

    @Test
    void theLastOfTwoValuesThatExcludeEachOtherCounts() {
        assertThat(new BootOptions("x=b,a").hasLast("x", "a", "b")).isTrue();
        assertThat(new BootOptions("x=b quiet x=c,a,d x=e").hasLast("x", "a", "b"))
                .isTrue();
        assertThat(new BootOptions("x=a,b").hasLast("x", "a", "b")).isFalse();
        assertThat(new BootOptions("x=a x=b").hasLast("x", "a", "b")).isFalse();
        assertThat(new BootOptions("x=a y=b").hasLast("x", "a", "b")).isTrue();
        assertThat(new BootOptions("x=b y=a").hasLast("x", "a", "b")).isFalse();
    }

    @Test
    void aParameterThatIsYesOrNoIsWhatItsLastWordSays() {
        assertThat(new BootOptions("a-b.c").isSet("a_b.c")).isTrue();
        for (String yes : List.of("1", "Y", "yes", "t", "on", "On")) {
            assertThat(new BootOptions("quiet x=0 x=" + yes).isSet("x")).as(yes).isTrue();
        }
        for (String no : List.of("0", "n", "off", "", "2")) {
            assertThat(new BootOptions("x x=" + no + " xy=1").isSet("x")).as(no).isFalse();
        }
        assertThat(BootOptions.DEFAULT.isSet("x")).isFalse();
    }

    @Test
    void interruptsAreRemappedUnlessTheCommandLineForbids() {
        assertThat(BootOptions.DEFAULT.interruptRemapping()).isTrue();
        assertThat(BootOptions.NO_INTERRUPT_REMAPPING.interruptRemapping()).isFalse();
        assertThat(BootOptions.DEFAULT.and("intremap=off").interruptRemapping()).isFalse();
        assertThat(new BootOptions("quiet nointremap").interruptRemapping()).isFalse();
        assertThat(new BootOptions("intremap=nosid,off").interruptRemapping()).isFalse();
        assertThat(new BootOptions("intremap=on intremap=off,nosid").interruptRemapping())
                .isFalse();
        assertThat(new BootOptions("intremap=off intremap=on").interruptRemapping())
                .as("the last word counts")
                .isTrue();
        assertThat(new BootOptions("nointremap intremap=on").interruptRemapping())
                .isTrue();
        assertThat(new BootOptions("nointremaps xintremap=off intremap").interruptRemapping())
                .as("other words")
                .isTrue();
        assertThat(BootOptions.NO_INTERRUPT_REMAPPING.and("quiet").commandLine())
                .isEqualTo("intremap=off quiet");
    }
}
