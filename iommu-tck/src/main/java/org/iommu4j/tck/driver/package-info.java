// SPDX-License-Identifier: Apache-2.0

/** The promises of drivers, domains and devices as tests, by what they are about. */
package org.iommu4j.tck.driver;
