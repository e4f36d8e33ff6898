// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;
import java.util.regex.Pattern;

/**
 * What the kernel's command line says to a driver.
 *
 * <p>Each driver reads its own parameters, as in Linux: {@code intel_iommu=on,sm_off}, {@code amd_iommu=pgtbl_v2},
 * {@code intremap=off}. What Linux does not know begins with {@code iommu4j.}, such as
 * {@code iommu4j.amd=completion_interrupt}. A parameter may be given more than once and may list several values.
 *
 * @param commandLine parameters separated by white space; those of no driver are ignored
 */
public record BootOptions(String commandLine) {
    /** As {@code kstrtobool} reads it. */
    private static final Pattern TRUE = Pattern.compile("[1yYtT]|[oO][nN]");

    /** Nothing is said: every driver does what it does by itself. */
    public static final BootOptions DEFAULT = new BootOptions("");

    /** Interrupt remapping is off, also where the hardware could do it. */
    public static final BootOptions NO_INTERRUPT_REMAPPING = new BootOptions("intremap=off");

    /** Refuses what is missing. */
    public BootOptions {
        Objects.requireNonNull(commandLine, "commandLine");
    }

    /**
     * Returns whether a parameter lists a value: {@code has("intel_iommu", "sm_on")} of {@code intel_iommu=on,sm_on}.
     */
    public boolean has(String parameter, String value) {
        // What takes itself back says itself again.
        return hasLast(parameter, value, value);
    }

    /**
     * Returns whether a parameter lists a value, and after it none that takes it back:
     * {@code hasLast("amd_iommu", "pgtbl_v2", "pgtbl_v1")} of {@code amd_iommu=pgtbl_v1 amd_iommu=pgtbl_v2}.
     */
    public boolean hasLast(String parameter, String value, String takenBackBy) {
        Objects.requireNonNull(parameter, "parameter");
        Objects.requireNonNull(value, "value");
        Objects.requireNonNull(takenBackBy, "takenBackBy");
        boolean has = false;
        for (String word : commandLine.split("\\s+", -1)) {
            int equals = word.indexOf('=');
            if (equals < 0 || !word.substring(0, equals).equals(parameter)) {
                continue;
            }
            for (String each : word.substring(equals + 1).split(",", -1)) {
                has = each.equals(value) || (has && !each.equals(takenBackBy));
            }
        }
        return has;
    }

    /**
     * Returns whether a parameter that is yes or no is yes: named alone, or with {@code 1}, {@code y}, {@code t} or
     * {@code on}. The last word that names it takes precedence; as in Linux a dash in a name is an underscore.
     */
    public boolean isSet(String parameter) {
        Objects.requireNonNull(parameter, "parameter");
        boolean set = false;
        for (String word : commandLine.split("\\s+", -1)) {
            int equals = word.indexOf('=');
            String name = equals < 0 ? word : word.substring(0, equals);
            if (name.replace('-', '_').equals(parameter)) {
                set = equals < 0 || TRUE.matcher(word.substring(equals + 1)).lookingAt();
            }
        }
        return set;
    }

    /** Returns whether a parameter is there, whatever its value. */
    public boolean isGiven(String parameter) {
        Objects.requireNonNull(parameter, "parameter");
        for (String word : commandLine.split("\\s+", -1)) {
            if (word.equals(parameter) || word.startsWith(parameter + "=")) {
                return true;
            }
        }
        return false;
    }

    /**
     * Returns whether interrupts may be remapped where the hardware can do it: unless the last of {@code intremap=on},
     * {@code intremap=off} and {@code nointremap} forbids it.
     *
     * <p>Source: Linux {@code setup_irqremap}, {@code setup_nointremap}.
     */
    public boolean interruptRemapping() {
        boolean off = false;
        for (String word : commandLine.split("\\s+", -1)) {
            if (word.equals("nointremap")) {
                off = true;
            } else if (word.startsWith("intremap=")) {
                for (String each : word.substring("intremap=".length()).split(",", -1)) {
                    off = each.equals("off") || (off && !each.equals("on"));
                }
            }
        }
        return !off;
    }

    /** Returns these options with parameters added. */
    public BootOptions and(String parameters) {
        Objects.requireNonNull(parameters, "parameters");
        return new BootOptions(commandLine.isEmpty() ? parameters : commandLine + " " + parameters);
    }
}
